# Learning to segment with image-level supervision: tags -> semantic network -> semantic maps of each requested split.
# The run `supervised_semantic` trains the same network on ground-truth masks.


rule learning_to_segment_train:
    input:
        images=IMAGES,
        truth=reads("learning_to_segment_train", "truth"),
        pretrained=reads("learning_to_segment_train", "pretrained"),
    output:
        model=writes("learning_to_segment_train", "semantic_network"),
        metrics=writes("learning_to_segment_train", "metrics"),
    log:
        record("logs", "learning_to_segment_train", ".log"),
    benchmark:
        record("benchmarks", "learning_to_segment_train", ".tsv")
    wildcard_constraints:
        **where("learning_to_segment_train"),
    conda:
        ENVIRONMENT
    threads: 16
    resources:
        gpu=gpus("learning_to_segment_train"),
    params:
        **common("learning_to_segment_train"),
    shell:
        command(
            "learning_to_segment_train",
            "--images {input.images} --model {output.model} --metrics {output.metrics}",
        )


rule learning_to_segment_infer:
    input:
        images=IMAGES,
        model=reads("learning_to_segment_infer", "model"),
    output:
        semantic=writes("learning_to_segment_infer", "semantic", split="train"),
    log:
        record("logs", "learning_to_segment_infer", ".log", more="_{split}"),
    benchmark:
        record("benchmarks", "learning_to_segment_infer", ".tsv", more="_{split}")
    wildcard_constraints:
        **where("learning_to_segment_infer"),
        split="train|val",
    conda:
        ENVIRONMENT
    threads: 8
    resources:
        gpu=gpus("learning_to_segment_infer"),
    params:
        **common("learning_to_segment_infer"),
    shell:
        command(
            "learning_to_segment_infer",
            "--images {input.images} --model {input.model} --split {wildcards.split} --semantic {output.semantic}",
            ranks=True,
        )
