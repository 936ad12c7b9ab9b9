# The data of a run, imported once; nothing later reads the source format.


rule data_draw_shapes:
    output:
        tree=directory("results/{dataset}/shared/source"),
    params:
        settings=settings("data_draw_shapes"),
        code=code("data.draw_shapes"),
    log:
        "logs/{dataset}/shared/data_draw_shapes.log",
    benchmark:
        "benchmarks/{dataset}/shared/data_draw_shapes.tsv"
    conda:
        "../../envs/light.yaml"
    threads: 4
    shell:
        "python -m wsis_steps.data.draw_shapes --tree {output.tree} " + COMMON


rule data_import_dataset:
    input:
        source=source,
    output:
        images="results/{dataset}/shared/data/images.h5",
        instances_train="results/{dataset}/shared/data/instances_train.h5",
        instances_val="results/{dataset}/shared/data/instances_val.h5",
        summary="results/{dataset}/shared/data/summary.json",
    params:
        settings=settings("data_import_dataset"),
        code=code("data.import_dataset"),
    log:
        "logs/{dataset}/shared/data_import_dataset.log",
    benchmark:
        "benchmarks/{dataset}/shared/data_import_dataset.tsv"
    conda:
        "../../envs/light.yaml"
    threads: 8
    shell:
        "python -m wsis_steps.data.import_dataset --source {input.source} --images {output.images}"
        " --instances_train {output.instances_train} --instances_val {output.instances_val}"
        " --summary {output.summary} " + COMMON


rule data_import_semantic:
    input:
        images=f"{DATA}/images.h5",
    output:
        semantic="results/{dataset}/{run}/semantic/train.h5",
    wildcard_constraints:
        run=RUNS.owners("data_import_semantic"),
    params:
        settings=settings("data_import_semantic"),
        code=code("data.import_semantic"),
    log:
        "logs/{dataset}/{run}/data_import_semantic.log",
    benchmark:
        "benchmarks/{dataset}/{run}/data_import_semantic.tsv"
    conda:
        "../../envs/light.yaml"
    shell:
        "python -m wsis_steps.data.import_semantic --images {input.images} --semantic {output.semantic} " + COMMON
