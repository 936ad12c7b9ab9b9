# Boxes and regions that may hold an object: of all images, for all runs. `shards` jobs share the images of a step; what
# they make is joined into the file that one job would have written.


rule proposals_search_selectively:
    input:
        images=f"{DATA}/images.h5",
    output:
        proposals=temp("results/{dataset}/shared/proposals/selective_search/{shard}_of_{shards}.h5"),
    log:
        "logs/{dataset}/shared/proposals_search_selectively_{shard}_of_{shards}.log",
    benchmark:
        "benchmarks/{dataset}/shared/proposals_search_selectively_{shard}_of_{shards}.tsv"
    priority: 2  # the longest chains wait for it
    conda:
        "../../envs/light.yaml"
    threads: 16
    params:
        settings=settings("proposals_search_selectively"),
        code=code("proposals.search_selectively"),
    shell:
        "python -m wsis_steps.proposals.search_selectively --images {input.images}"
        " --shard {wildcards.shard}/{wildcards.shards} --proposals {output.proposals}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"


rule proposals_group_regions:
    input:
        images=f"{DATA}/images.h5",
    output:
        proposals=temp("results/{dataset}/shared/proposals/mcg/{shard}_of_{shards}.h5"),
    log:
        "logs/{dataset}/shared/proposals_group_regions_{shard}_of_{shards}.log",
    benchmark:
        "benchmarks/{dataset}/shared/proposals_group_regions_{shard}_of_{shards}.tsv"
    priority: 2  # the longest chains wait for it
    conda:
        "../../envs/torch.yaml"
    threads: 16
    params:
        settings=settings("proposals_group_regions"),
        code=code("proposals.group_regions"),
    shell:
        "python -m wsis_steps.proposals.group_regions --images {input.images}"
        " --shard {wildcards.shard}/{wildcards.shards} --proposals {output.proposals}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"


rule proposals_merge_shards:
    input:
        shards=shards("results/{dataset}/shared/proposals/{name}"),
    output:
        proposals="results/{dataset}/shared/proposals/{name}.h5",
    log:
        "logs/{dataset}/shared/proposals_merge_shards_{name}.log",
    benchmark:
        "benchmarks/{dataset}/shared/proposals_merge_shards_{name}.tsv"
    wildcard_constraints:
        name="selective_search|mcg",
    priority: 2  # the longest chains wait for it
    conda:
        "../../envs/light.yaml"
    params:
        settings=settings("proposals_merge_shards"),
        code=code("proposals.merge_shards"),
    shell:
        "python -m wsis_steps.proposals.merge_shards --shards {input.shards} --proposals {output.proposals}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"


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
        "../../envs/light.yaml"
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
        edges="results/{dataset}/shared/proposals/edges.h5",
    log:
        "logs/{dataset}/shared/proposals_find_edges.log",
    benchmark:
        "benchmarks/{dataset}/shared/proposals_find_edges.tsv"
    priority: 2  # the longest chains wait for it
    conda:
        "../../envs/torch.yaml"
    threads: 16
    params:
        settings=settings("proposals_find_edges"),
        code=code("proposals.find_edges"),
    shell:
        "python -m wsis_steps.proposals.find_edges --images {input.images} --edges {output.edges}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"


rule proposals_train_edges:  # asked for by name; the package has weights
    output:
        model=f"results/{DATASET}/shared/proposals/edges.pt",
        metrics=f"results/{DATASET}/shared/proposals/edges.jsonl",
    log:
        f"logs/{DATASET}/shared/proposals_train_edges.log",
    benchmark:
        f"benchmarks/{DATASET}/shared/proposals_train_edges.tsv"
    conda:
        "../../envs/torch.yaml"
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
        "../../envs/torch.yaml"
    threads: 16
    params:
        settings=settings("proposals_train_ranker"),
        code=code("proposals.train_ranker"),
    shell:
        "python -m wsis_steps.proposals.train_ranker --ranker {output.ranker}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"
