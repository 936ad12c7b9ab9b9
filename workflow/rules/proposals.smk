# Boxes and regions that may hold an object: of all images, for all runs.


rule proposals_search_selectively:
    input:
        images=f"{DATA}/images.h5",
    output:
        proposals=share("results/{dataset}/shared/proposals/selective_search"),
    log:
        f"logs/{{dataset}}/shared/proposals_search_selectively{SHARD}.log",
    benchmark:
        f"benchmarks/{{dataset}}/shared/proposals_search_selectively{SHARD}.tsv"
    priority: 2  # the longest chains wait for it
    conda:
        "../../envs/environment.yaml"
    threads: 16
    params:
        settings=settings("proposals_search_selectively"),
        code=code("proposals.search_selectively"),
        shard=shard,
    shell:
        "python -m wsis_steps.proposals.search_selectively --images {input.images}"
        " --proposals {output.proposals}"
        " --shard {params.shard} --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"


rule proposals_group_regions:
    input:
        images=f"{DATA}/images.h5",
    output:
        proposals=share("results/{dataset}/shared/proposals/mcg"),
    log:
        f"logs/{{dataset}}/shared/proposals_group_regions{SHARD}.log",
    benchmark:
        f"benchmarks/{{dataset}}/shared/proposals_group_regions{SHARD}.tsv"
    priority: 2  # the longest chains wait for it
    conda:
        "../../envs/environment.yaml"
    threads: 16
    params:
        settings=settings("proposals_group_regions"),
        code=code("proposals.group_regions"),
        shard=shard,
    shell:
        "python -m wsis_steps.proposals.group_regions --images {input.images}"
        " --proposals {output.proposals}"
        " --shard {params.shard} --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"


rule proposals_import_proposals:
    input:
        images=f"{DATA}/images.h5",
    output:
        proposals="results/{dataset}/shared/proposals/imported.h5",
    log:
        "logs/{dataset}/shared/proposals_import_proposals.log",
    benchmark:
        "benchmarks/{dataset}/shared/proposals_import_proposals.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 8
    params:
        settings=settings("proposals_import_proposals"),
        code=code("proposals.import_proposals"),
    shell:
        "python -m wsis_steps.proposals.import_proposals --images {input.images} --proposals {output.proposals}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"


rule proposals_find_edges:
    input:
        images=f"{DATA}/images.h5",
    output:
        edges=share("results/{dataset}/shared/proposals/edges"),
    log:
        f"logs/{{dataset}}/shared/proposals_find_edges{SHARD}.log",
    benchmark:
        f"benchmarks/{{dataset}}/shared/proposals_find_edges{SHARD}.tsv"
    priority: 2  # the longest chains wait for it
    conda:
        "../../envs/environment.yaml"
    threads: 16
    params:
        settings=settings("proposals_find_edges"),
        code=code("proposals.find_edges"),
        shard=shard,
    shell:
        "python -m wsis_steps.proposals.find_edges --images {input.images} --edges {output.edges}"
        " --shard {params.shard} --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"


rule proposals_train_edges:  # asked for by name; the package has weights
    output:
        model=f"results/{DATASET}/shared/proposals/edges.pt",
        metrics=f"results/{DATASET}/shared/proposals/edges.jsonl",
    log:
        f"logs/{DATASET}/shared/proposals_train_edges.log",
    benchmark:
        f"benchmarks/{DATASET}/shared/proposals_train_edges.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 8
    resources:
        gpu=gpus("proposals_train_edges"),
    params:
        settings=settings("proposals_train_edges"),
        code=code("proposals.train_edges"),
        work=f"work/{DATASET}/shared/proposals_train_edges",
    shell:
        "python -m wsis_steps.proposals.train_edges --model {output.model} --metrics {output.metrics}"
        " --work {params.work}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --ranks {resources.gpu} --log {log}"


rule proposals_train_ranker:  # asked for by name; the package has parameters
    output:
        ranker=f"results/{DATASET}/shared/proposals/ranker.pt",
    log:
        f"logs/{DATASET}/shared/proposals_train_ranker.log",
    benchmark:
        f"benchmarks/{DATASET}/shared/proposals_train_ranker.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 16
    params:
        settings=settings("proposals_train_ranker"),
        code=code("proposals.train_ranker"),
    shell:
        "python -m wsis_steps.proposals.train_ranker --ranker {output.ranker}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"
