# BESTIE: cues and semantic maps -> pseudo labels (round00) -> network -> refined labels (round01, ...) and
# predictions of each round. Each round trains on the labels of the previous one.


rule bestie_label:
    input:
        images=IMAGES,
        semantic=reads("bestie_label", "semantic"),
        peaks=reads("bestie_label", "peaks"),
        maps=reads("bestie_label", "maps"),
        proposals=reads("bestie_label", "proposals"),
    output:
        labels=writes("bestie_label", "labels"),
        counts=writes("bestie_label", "counts"),
    log:
        record("logs", "bestie_label", ".log"),
    benchmark:
        record("benchmarks", "bestie_label", ".tsv")
    wildcard_constraints:
        **where("bestie_label"),
    priority: 2  # the longest chains go first
    conda:
        ENVIRONMENT
    threads: 8
    params:
        **common("bestie_label"),
    shell:
        command(
            "bestie_label",
            "--images {input.images} --semantic {input.semantic} --labels {output.labels} " "--counts {output.counts}",
        )


rule bestie_train:
    input:
        images=IMAGES,
        semantic=reads("bestie_train", "semantic"),
        labels=reads("bestie_train", "labels"),
        pretrained=reads("bestie_train", "pretrained"),
    output:
        model=writes("bestie_train", "model"),
        metrics=writes("bestie_train", "metrics"),
    log:
        record("logs", "bestie_train", ".log"),
    benchmark:
        record("benchmarks", "bestie_train", ".tsv")
    wildcard_constraints:
        **where("bestie_train"),
    priority: 2  # the longest chains go first
    conda:
        ENVIRONMENT
    threads: 16
    resources:
        gpu=gpus("bestie_train"),
    params:
        **common("bestie_train"),
    shell:
        command(
            "bestie_train",
            "--images {input.images} --semantic {input.semantic} --labels {input.labels} "
            "--model {output.model} --metrics {output.metrics}",
        )


rule bestie_infer:
    input:
        images=IMAGES,
        model=reads("bestie_infer", "model"),
        before=reads("bestie_infer", "before"),
    output:
        labels=writes("bestie_infer", "labels"),
        predictions=writes("bestie_infer", "predictions"),
    log:
        record("logs", "bestie_infer", ".log"),
    benchmark:
        record("benchmarks", "bestie_infer", ".tsv")
    wildcard_constraints:
        **where("bestie_infer"),
    priority: 2  # the longest chains go first
    conda:
        ENVIRONMENT
    threads: 8
    resources:
        gpu=gpus("bestie_infer"),
    params:
        **common("bestie_infer"),
    shell:
        command(
            "bestie_infer",
            "--images {input.images} --model {input.model} --labels {output.labels} "
            "--predictions {output.predictions}",
            ranks=True,
        )
