# Boxes and regions that may hold an object, for all images and all runs.


rule proposals_search_selectively:
    input:
        images=IMAGES,
    output:
        proposals=writes("proposals_search_selectively", "proposals"),
    log:
        record("logs", "proposals_search_selectively", ".log"),
    benchmark:
        record("benchmarks", "proposals_search_selectively", ".tsv")
    priority: 2  # the longest chains depend on it
    conda:
        ENVIRONMENT
    threads: 16
    params:
        **common("proposals_search_selectively"),
    shell:
        command(
            "proposals_search_selectively",
            "--images {input.images} --proposals {output.proposals}",
        )


rule proposals_group_regions:
    input:
        images=IMAGES,
    output:
        proposals=writes("proposals_group_regions", "proposals"),
    log:
        record("logs", "proposals_group_regions", ".log"),
    benchmark:
        record("benchmarks", "proposals_group_regions", ".tsv")
    priority: 2  # the longest chains depend on it
    conda:
        ENVIRONMENT
    threads: 16
    params:
        **common("proposals_group_regions"),
    shell:
        command(
            "proposals_group_regions",
            "--images {input.images} --proposals {output.proposals}",
        )


rule proposals_import_proposals:
    input:
        images=IMAGES,
    output:
        proposals=writes("proposals_import_proposals", "proposals"),
    log:
        record("logs", "proposals_import_proposals", ".log"),
    benchmark:
        record("benchmarks", "proposals_import_proposals", ".tsv")
    conda:
        ENVIRONMENT
    threads: 8
    params:
        **common("proposals_import_proposals"),
    shell:
        command(
            "proposals_import_proposals",
            "--images {input.images} --proposals {output.proposals}",
        )


rule proposals_find_edges:
    input:
        images=IMAGES,
    output:
        edges=writes("proposals_find_edges", "edges"),
    log:
        record("logs", "proposals_find_edges", ".log"),
    benchmark:
        record("benchmarks", "proposals_find_edges", ".tsv")
    priority: 2  # the longest chains depend on it
    conda:
        ENVIRONMENT
    threads: 16
    params:
        **common("proposals_find_edges"),
    shell:
        command(
            "proposals_find_edges",
            "--images {input.images} --edges {output.edges}",
        )


rule proposals_train_edges:  # only on request; the package includes weights
    output:
        model=f"{RESULTS}/shared/proposals/edges.pt",
        metrics=f"{RESULTS}/shared/proposals/edges.jsonl",
    log:
        f"logs/{DATASET}/shared/proposals_train_edges.log",
    benchmark:
        f"benchmarks/{DATASET}/shared/proposals_train_edges.tsv"
    conda:
        ENVIRONMENT
    threads: 8
    resources:
        gpu=gpus("proposals_train_edges"),
    params:
        **common("proposals_train_edges", work=f"work/{DATASET}/shared/proposals_train_edges"),
    shell:
        command("proposals_train_edges", "--model {output.model} --metrics {output.metrics}")


rule proposals_train_ranker:  # only on request; the package includes parameters
    output:
        ranker=f"{RESULTS}/shared/proposals/ranker.pt",
    log:
        f"logs/{DATASET}/shared/proposals_train_ranker.log",
    benchmark:
        f"benchmarks/{DATASET}/shared/proposals_train_ranker.tsv"
    conda:
        ENVIRONMENT
    threads: 16
    params:
        **common("proposals_train_ranker"),
    shell:
        command("proposals_train_ranker", "--ranker {output.ranker}")
