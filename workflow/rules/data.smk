# Imports the data once; no later step reads the source format.


rule data_draw_shapes:
    output:
        tree=directory("results/{dataset}/shared/source"),
    log:
        record("logs", "data_draw_shapes", ".log"),
    benchmark:
        record("benchmarks", "data_draw_shapes", ".tsv")
    conda:
        ENVIRONMENT
    threads: 4
    params:
        **common("data_draw_shapes"),
    shell:
        command("data_draw_shapes", "--tree {output.tree}")


rule data_download_archives:  # only on request: make voc2012, make coco2017
    output:
        record=f"data/{DATASET}.downloaded.json",
    log:
        f"logs/{DATASET}/shared/data_download_archives.log",
    benchmark:
        f"benchmarks/{DATASET}/shared/data_download_archives.tsv"
    conda:
        ENVIRONMENT
    params:
        **common("data_download_archives"),
        to=lambda wildcards, output: Path(output.record).parent,
    shell:
        command("data_download_archives", "--to {params.to} --record {output.record}")


rule data_import_dataset:
    input:
        source=outside(watched_lists(SOURCE, f"{RESULTS}/shared/source")),
        watched=outside(watched_files(SOURCE)),  # not in the command, which they could make too long
    output:
        images="results/{dataset}/shared/data/images.h5",
        instances_train="results/{dataset}/shared/data/instances_train.h5",
        instances_val="results/{dataset}/shared/data/instances_val.h5",
        summary="results/{dataset}/shared/data/summary.json",
    log:
        record("logs", "data_import_dataset", ".log"),
    benchmark:
        record("benchmarks", "data_import_dataset", ".tsv")
    conda:
        ENVIRONMENT
    threads: 8
    params:
        **common("data_import_dataset"),
    shell:
        command(
            "data_import_dataset",
            "--source {input.source:q} --images {output.images} --instances_train {output.instances_train} "
            "--instances_val {output.instances_val} --summary {output.summary}",
        )


rule data_import_semantic:
    input:
        images=IMAGES,
    output:
        semantic=writes("data_import_semantic", "semantic"),
    log:
        record("logs", "data_import_semantic", ".log"),
    benchmark:
        record("benchmarks", "data_import_semantic", ".tsv")
    wildcard_constraints:
        **where("data_import_semantic"),
    conda:
        ENVIRONMENT
    params:
        **common("data_import_semantic"),
    shell:
        command("data_import_semantic", "--images {input.images} --semantic {output.semantic}")


rule data_import_corrections:
    input:
        images=IMAGES,
        labels=reads("data_import_corrections", "labels"),
        corrections=lambda wildcards: outside([RUNS.runs[wildcards.run].corrections[int(wildcards.round)]]),
    output:
        corrected=writes("data_import_corrections", "corrected"),
    log:
        record("logs", "data_import_corrections", ".log"),
    benchmark:
        record("benchmarks", "data_import_corrections", ".tsv")
    wildcard_constraints:
        **where("data_import_corrections"),
    conda:
        ENVIRONMENT
    params:
        **common("data_import_corrections"),
    shell:
        command(
            "data_import_corrections",
            "--images {input.images} --labels {input.labels} --corrections {input.corrections:q} "
            "--corrected {output.corrected}",
        )
