# Mask R-CNN on the labels of any run.


rule maskrcnn_train:
    input:
        images=IMAGES,
        labels=reads("maskrcnn_train", "labels"),
        pretrained=reads("maskrcnn_train", "pretrained"),
    output:
        model=writes("maskrcnn_train", "detector"),
        metrics=writes("maskrcnn_train", "metrics"),
    log:
        record("logs", "maskrcnn_train", ".log"),
    benchmark:
        record("benchmarks", "maskrcnn_train", ".tsv")
    wildcard_constraints:
        **where("maskrcnn_train"),
    priority: 1  # the longest chains go first
    conda:
        ENVIRONMENT
    threads: 16
    resources:
        gpu=gpus("maskrcnn_train"),
    params:
        **common("maskrcnn_train"),
    shell:
        command(
            "maskrcnn_train",
            "--images {input.images} --labels {input.labels} --model {output.model} " "--metrics {output.metrics}",
        )


rule maskrcnn_infer:
    input:
        images=IMAGES,
        model=reads("maskrcnn_infer", "model"),
    output:
        predictions=writes("maskrcnn_infer", "predictions"),
    log:
        record("logs", "maskrcnn_infer", ".log"),
    benchmark:
        record("benchmarks", "maskrcnn_infer", ".tsv")
    wildcard_constraints:
        **where("maskrcnn_infer"),
    conda:
        ENVIRONMENT
    threads: 8
    resources:
        gpu=gpus("maskrcnn_infer"),
    params:
        **common("maskrcnn_infer"),
    shell:
        command(
            "maskrcnn_infer",
            "--images {input.images} --model {input.model} --predictions {output.predictions}",
            ranks=True,
        )
