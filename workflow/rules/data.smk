# The data of a run, imported once; nothing later reads the source format.


rule data_draw_shapes:
    output:
        tree=directory("results/{dataset}/shared/source"),
    log:
        "logs/{dataset}/shared/data_draw_shapes.log",
    benchmark:
        "benchmarks/{dataset}/shared/data_draw_shapes.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 4
    params:
        settings=settings("data_draw_shapes"),
        code=code("data.draw_shapes"),
    shell:
        "python -m wsis_steps.data.draw_shapes --tree {output.tree}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"


rule data_download_archives:  # asked for by name: make voc2012, make coco2017
    output:
        record=f"data/{DATASET}.downloaded.json",
    log:
        f"logs/{DATASET}/shared/data_download_archives.log",
    benchmark:
        f"benchmarks/{DATASET}/shared/data_download_archives.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        settings=settings("data_download_archives"),
        code=code("data.download_archives"),
        to=lambda wildcards, output: Path(output.record).parent,
    shell:
        "python -m wsis_steps.data.download_archives --to {params.to} --record {output.record}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"


rule data_import_dataset:
    input:
        source=lambda wildcards: RUNS.source(),
        watched=lambda wildcards: RUNS.labelme_files(),  # perhaps more than a command line holds
    output:
        images="results/{dataset}/shared/data/images.h5",
        instances_train="results/{dataset}/shared/data/instances_train.h5",
        instances_val="results/{dataset}/shared/data/instances_val.h5",
        summary="results/{dataset}/shared/data/summary.json",
    log:
        "logs/{dataset}/shared/data_import_dataset.log",
    benchmark:
        "benchmarks/{dataset}/shared/data_import_dataset.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 8
    params:
        settings=settings("data_import_dataset"),
        code=code("data.import_dataset"),
    shell:
        "python -m wsis_steps.data.import_dataset --source {input.source:q} --images {output.images}"
        " --instances_train {output.instances_train} --instances_val {output.instances_val}"
        " --summary {output.summary}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"


rule data_import_semantic:
    input:
        images=f"{DATA}/images.h5",
    output:
        semantic="results/{dataset}/{run}/semantic/train.h5",
    log:
        "logs/{dataset}/{run}/data_import_semantic.log",
    benchmark:
        "benchmarks/{dataset}/{run}/data_import_semantic.tsv"
    wildcard_constraints:
        run=RUNS.owners("data_import_semantic"),
    conda:
        "../../envs/environment.yaml"
    params:
        settings=settings("data_import_semantic"),
        code=code("data.import_semantic"),
    shell:
        "python -m wsis_steps.data.import_semantic --images {input.images} --semantic {output.semantic}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"


rule data_import_corrections:
    input:
        images=f"{DATA}/images.h5",
        labels=lambda wildcards: f"results/{DATASET}/{RUNS.uncorrected(wildcards.run, int(wildcards.round))}",
        corrections=lambda wildcards: str(RUNS.runs[wildcards.run].corrections[int(wildcards.round)]),
    output:
        corrected="results/{dataset}/{run}/labels/round{round}_corrected.h5",
    log:
        "logs/{dataset}/{run}/data_import_corrections_round{round}.log",
    benchmark:
        "benchmarks/{dataset}/{run}/data_import_corrections_round{round}.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        settings=settings("data_import_corrections"),
        code=code("data.import_corrections"),
    shell:
        "python -m wsis_steps.data.import_corrections --images {input.images} --labels {input.labels}"
        " --corrections {input.corrections:q} --corrected {output.corrected}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"
