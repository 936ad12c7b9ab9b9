# From tags to activation maps to instance cues.


rule classifier_extract:  # in runs whose classifier is frozen, or with class_maps: learned
    input:
        images=IMAGES,
    output:
        features=writes("classifier_extract", "features"),
    log:
        record("logs", "classifier_extract", ".log"),
    benchmark:
        record("benchmarks", "classifier_extract", ".tsv")
    wildcard_constraints:
        **where("classifier_extract"),
    priority: 3  # nearly everything depends on it
    conda:
        ENVIRONMENT
    threads: 8
    resources:
        gpu=gpus("classifier_extract"),
    params:
        **common("classifier_extract"),
    shell:
        command(
            "classifier_extract",
            "--images {input.images} --features {output.features}",
            ranks=True,
        )


rule classifier_train:
    input:
        images=IMAGES,
        features=reads("classifier_train", "features"),
    output:
        model=writes("classifier_train", "classifier"),
        metrics=writes("classifier_train", "metrics"),
    log:
        record("logs", "classifier_train", ".log"),
    benchmark:
        record("benchmarks", "classifier_train", ".tsv")
    wildcard_constraints:
        **where("classifier_train"),
    priority: 3  # nearly everything depends on it
    conda:
        ENVIRONMENT
    threads: 8
    resources:
        gpu=gpus("classifier_train"),
    params:
        **common("classifier_train"),
    shell:
        command(
            "classifier_train",
            "--images {input.images} --model {output.model} --metrics {output.metrics}",
        )


rule classifier_infer:
    input:
        images=IMAGES,
        model=reads("classifier_infer", "model"),
        features=reads("classifier_infer", "features"),
    output:
        maps=writes("classifier_infer", "maps"),
    log:
        record("logs", "classifier_infer", ".log"),
    benchmark:
        record("benchmarks", "classifier_infer", ".tsv")
    wildcard_constraints:
        **where("classifier_infer"),
    priority: 2  # the longest chains go first
    conda:
        ENVIRONMENT
    threads: 8
    resources:
        gpu=gpus("classifier_infer"),
    params:
        **common("classifier_infer"),
    shell:
        command(
            "classifier_infer",
            "--images {input.images} --model {input.model} --maps {output.maps}",
            ranks=True,
        )


rule classifier_learn_pixels:  # in runs with class_maps: learned
    input:
        features=reads("classifier_learn_pixels", "features"),
        maps=reads("classifier_learn_pixels", "maps"),
    output:
        probabilities=writes("classifier_learn_pixels", "probabilities"),
    log:
        record("logs", "classifier_learn_pixels", ".log"),
    benchmark:
        record("benchmarks", "classifier_learn_pixels", ".tsv")
    wildcard_constraints:
        **where("classifier_learn_pixels"),
    priority: 2  # the longest chains go first
    conda:
        ENVIRONMENT
    threads: 8
    params:
        **common("classifier_learn_pixels"),
    shell:
        command(
            "classifier_learn_pixels",
            "--features {input.features} --maps {input.maps} --probabilities {output.probabilities}",
        )


rule classifier_find_peaks:
    input:
        maps=reads("classifier_find_peaks", "maps"),
    output:
        peaks=writes("classifier_find_peaks", "peaks"),
    log:
        record("logs", "classifier_find_peaks", ".log"),
    benchmark:
        record("benchmarks", "classifier_find_peaks", ".tsv")
    wildcard_constraints:
        **where("classifier_find_peaks"),
    priority: 2  # the longest chains go first
    conda:
        ENVIRONMENT
    params:
        **common("classifier_find_peaks"),
    shell:
        command(
            "classifier_find_peaks",
            "--maps {input.maps} --peaks {output.peaks}",
        )


rule classifier_audit_tags:  # for generated data, whose tags are correct, only on request of its page's path
    input:
        images=IMAGES,
        model=reads("classifier_audit_tags", "model"),
        features=reads("classifier_audit_tags", "features"),
    output:
        table=writes("classifier_audit_tags", "table"),
        page=report(
            writes("classifier_audit_tags", "page"),
            caption="../report/tag_audit.rst",
            category="Tags",
        ),
        scores=writes("classifier_audit_tags", "scores"),
    log:
        record("logs", "classifier_audit_tags", ".log"),
    benchmark:
        record("benchmarks", "classifier_audit_tags", ".tsv")
    wildcard_constraints:
        **where("classifier_audit_tags"),
    conda:
        ENVIRONMENT
    threads: 8
    resources:
        gpu=min(CONFIGURATION.gpus_per_job, 1),
    params:
        **common("classifier_audit_tags"),
    shell:
        command(
            "classifier_audit_tags",
            "--images {input.images} --model {input.model} --table {output.table} --page {output.page} "
            "--scores {output.scores}",
        )
