# Deep Community Learning: tags and box proposals -> one network -> labels and predictions, whose masks may be replaced
# with region proposals (postprocess_replace_with_proposals).


rule community_learning_train:
    input:
        images=IMAGES,
        proposals=reads("community_learning_train", "proposals"),
        pretrained=reads("community_learning_train", "pretrained"),
    output:
        model=writes("community_learning_train", "model"),
        metrics=writes("community_learning_train", "metrics"),
    log:
        record("logs", "community_learning_train", ".log"),
    benchmark:
        record("benchmarks", "community_learning_train", ".tsv")
    wildcard_constraints:
        **where("community_learning_train"),
    priority: 1  # the longest chains go first
    conda:
        ENVIRONMENT
    threads: 16
    resources:
        gpu=gpus("community_learning_train"),
    params:
        **common("community_learning_train"),
    shell:
        command(
            "community_learning_train",
            "--images {input.images} --proposals {input.proposals} --model {output.model} "
            "--metrics {output.metrics}",
        )


rule community_learning_infer:
    input:
        images=IMAGES,
        proposals=reads("community_learning_infer", "proposals"),
        model=reads("community_learning_infer", "model"),
    output:
        labels=writes("community_learning_infer", "labels"),
        predictions=writes("community_learning_infer", "predictions"),
    log:
        record("logs", "community_learning_infer", ".log"),
    benchmark:
        record("benchmarks", "community_learning_infer", ".tsv")
    wildcard_constraints:
        **where("community_learning_infer"),
    priority: 1  # the longest chains go first
    conda:
        ENVIRONMENT
    threads: 8
    resources:
        gpu=gpus("community_learning_infer"),
    params:
        **common("community_learning_infer"),
    shell:
        command(
            "community_learning_infer",
            "--images {input.images} --proposals {input.proposals} --model {input.model} "
            "--labels {output.labels} --predictions {output.predictions}",
            ranks=True,
        )
