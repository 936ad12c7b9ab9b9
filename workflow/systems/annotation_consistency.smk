# Annotation Consistent Instances: two networks train alternately. The conditional network sees the annotation and samples
# label sets of region proposals; the prediction network, a Mask R-CNN, learns from them; then the conditional network
# learns from its predictions for the next round.


rule annotation_consistency_initialise:
    input:
        images=IMAGES,
        proposals=reads("annotation_consistency_initialise", "proposals"),
        pretrained=reads("annotation_consistency_initialise", "pretrained"),
    output:
        model=writes("annotation_consistency_initialise", "conditional"),
        metrics=writes("annotation_consistency_initialise", "metrics"),
    log:
        record("logs", "annotation_consistency_initialise", ".log"),
    benchmark:
        record("benchmarks", "annotation_consistency_initialise", ".tsv")
    wildcard_constraints:
        **where("annotation_consistency_initialise"),
    priority: 2  # the longest chains go first
    conda:
        ENVIRONMENT
    threads: 16
    resources:
        gpu=gpus("annotation_consistency_initialise"),
    params:
        **common("annotation_consistency_initialise"),
    shell:
        command(
            "annotation_consistency_initialise",
            "--images {input.images} --proposals {input.proposals} --model {output.model} "
            "--metrics {output.metrics}",
        )


rule annotation_consistency_sample:
    input:
        images=IMAGES,
        proposals=reads("annotation_consistency_sample", "proposals"),
        edges=reads("annotation_consistency_sample", "edges"),
        model=reads("annotation_consistency_sample", "model"),
        before=reads("annotation_consistency_sample", "before"),
    output:
        samples=writes("annotation_consistency_sample", "samples"),
        labels=writes("annotation_consistency_sample", "labels"),
    log:
        record("logs", "annotation_consistency_sample", ".log"),
    benchmark:
        record("benchmarks", "annotation_consistency_sample", ".tsv")
    wildcard_constraints:
        **where("annotation_consistency_sample"),
    priority: 2  # the longest chains go first
    conda:
        ENVIRONMENT
    threads: 8
    resources:
        gpu=gpus("annotation_consistency_sample"),
    params:
        **common("annotation_consistency_sample"),
    shell:
        command(
            "annotation_consistency_sample",
            "--images {input.images} --proposals {input.proposals} --model {input.model} "
            "--samples {output.samples} --labels {output.labels}",
            ranks=True,
        )


rule annotation_consistency_train_prediction:
    input:
        images=IMAGES,
        samples=reads("annotation_consistency_train_prediction", "samples"),
        previous=reads("annotation_consistency_train_prediction", "previous"),
        pretrained=reads("annotation_consistency_train_prediction", "pretrained"),
    output:
        model=writes("annotation_consistency_train_prediction", "detector"),
        metrics=writes("annotation_consistency_train_prediction", "metrics"),
    log:
        record("logs", "annotation_consistency_train_prediction", ".log"),
    benchmark:
        record("benchmarks", "annotation_consistency_train_prediction", ".tsv")
    wildcard_constraints:
        **where("annotation_consistency_train_prediction"),
    priority: 2  # the longest chains go first
    conda:
        ENVIRONMENT
    threads: 16
    resources:
        gpu=gpus("annotation_consistency_train_prediction"),
    params:
        **common("annotation_consistency_train_prediction"),
    shell:
        command(
            "annotation_consistency_train_prediction",
            "--images {input.images} --samples {input.samples} --model {output.model} " "--metrics {output.metrics}",
        )


rule annotation_consistency_train_conditional:
    input:
        images=IMAGES,
        proposals=reads("annotation_consistency_train_conditional", "proposals"),
        edges=reads("annotation_consistency_train_conditional", "edges"),
        conditional=reads("annotation_consistency_train_conditional", "conditional"),
        prediction=reads("annotation_consistency_train_conditional", "prediction"),
    output:
        model=writes("annotation_consistency_train_conditional", "conditional"),
        metrics=writes("annotation_consistency_train_conditional", "metrics"),
    log:
        record("logs", "annotation_consistency_train_conditional", ".log"),
    benchmark:
        record("benchmarks", "annotation_consistency_train_conditional", ".tsv")
    wildcard_constraints:
        **where("annotation_consistency_train_conditional"),
    priority: 2  # the longest chains go first
    conda:
        ENVIRONMENT
    threads: 16
    resources:
        gpu=gpus("annotation_consistency_train_conditional"),
    params:
        **common("annotation_consistency_train_conditional"),
    shell:
        command(
            "annotation_consistency_train_conditional",
            "--images {input.images} --proposals {input.proposals} --conditional {input.conditional} "
            "--prediction {input.prediction} --model {output.model} --metrics {output.metrics}",
        )
