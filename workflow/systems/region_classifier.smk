# A linear classifier of region proposals, learned from the first labels on frozen features.


rule region_classifier_train:
    input:
        images=IMAGES,
        features=reads("region_classifier_train", "features"),
        labels=reads("region_classifier_train", "labels"),
        proposals=reads("region_classifier_train", "proposals"),
    output:
        model=writes("region_classifier_train", "regions"),
    log:
        record("logs", "region_classifier_train", ".log"),
    benchmark:
        record("benchmarks", "region_classifier_train", ".tsv")
    wildcard_constraints:
        **where("region_classifier_train"),
    priority: 1  # the longest chains go first
    conda:
        ENVIRONMENT
    threads: 8
    params:
        **common("region_classifier_train"),
    shell:
        command(
            "region_classifier_train",
            "--images {input.images} --features {input.features} --labels {input.labels} "
            "--proposals {input.proposals} --model {output.model}",
        )


rule region_classifier_infer:
    input:
        images=IMAGES,
        model=reads("region_classifier_infer", "model"),
        proposals=reads("region_classifier_infer", "proposals"),
    output:
        predictions=writes("region_classifier_infer", "predictions"),
    log:
        record("logs", "region_classifier_infer", ".log"),
    benchmark:
        record("benchmarks", "region_classifier_infer", ".tsv")
    wildcard_constraints:
        **where("region_classifier_infer"),
    conda:
        ENVIRONMENT
    threads: 8
    resources:
        gpu=gpus("region_classifier_infer"),
    params:
        **common("region_classifier_infer"),
    shell:
        command(
            "region_classifier_infer",
            "--images {input.images} --model {input.model} --proposals {input.proposals} "
            "--predictions {output.predictions}",
            ranks=True,
        )
