# Tags to activation maps to instance cues.


rule classifier_train:
    input:
        images=f"{DATA}/images.h5",
    output:
        model="results/{dataset}/{run}/classifier/model.pt",
        metrics="results/{dataset}/{run}/classifier/metrics.jsonl",
    log:
        "logs/{dataset}/{run}/classifier_train.log",
    benchmark:
        "benchmarks/{dataset}/{run}/classifier_train.tsv"
    wildcard_constraints:
        run=RUNS.owners("classifier_train"),
    priority: 3  # nearly all waits for it
    conda:
        "../../envs/environment.yaml"
    threads: 8
    resources:
        gpu=gpus("classifier_train"),
    params:
        settings=settings("classifier_train"),
        code=code("classifier.train"),
        work="work/{dataset}/{run}/classifier_train",
    shell:
        "python -m wsis_steps.classifier.train --images {input.images} --model {output.model}"
        " --metrics {output.metrics} --work {params.work}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --ranks {resources.gpu} --log {log}"


rule classifier_infer:
    input:
        images=f"{DATA}/images.h5",
        model=result("classifier_train", "classifier/model.pt"),
    output:
        maps=share("results/{dataset}/{run}/classifier/train"),
    log:
        f"logs/{{dataset}}/{{run}}/classifier_infer{SHARD}.log",
    benchmark:
        f"benchmarks/{{dataset}}/{{run}}/classifier_infer{SHARD}.tsv"
    wildcard_constraints:
        run=RUNS.owners("classifier_infer"),
    priority: 2  # the longest chains go first
    conda:
        "../../envs/environment.yaml"
    threads: 8
    resources:
        gpu=gpus("classifier_infer"),
    params:
        settings=settings("classifier_infer"),
        code=code("classifier.infer"),
        shard=shard,
    shell:
        "python -m wsis_steps.classifier.infer --images {input.images} --model {input.model}"
        " --maps {output.maps} --shard {params.shard}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --ranks {resources.gpu} --log {log}"


rule classifier_find_peaks:
    input:
        maps=result("classifier_infer", "classifier/train.h5"),
    output:
        peaks="results/{dataset}/{run}/classifier/peaks.h5",
    log:
        "logs/{dataset}/{run}/classifier_find_peaks.log",
    benchmark:
        "benchmarks/{dataset}/{run}/classifier_find_peaks.tsv"
    wildcard_constraints:
        run=RUNS.owners("classifier_find_peaks"),
    priority: 2  # the longest chains go first
    conda:
        "../../envs/environment.yaml"
    threads: 4
    params:
        settings=settings("classifier_find_peaks"),
        code=code("classifier.find_peaks"),
    shell:
        "python -m wsis_steps.classifier.find_peaks --maps {input.maps}"
        " --peaks {output.peaks}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"


rule classifier_audit_tags:  # of data without true masks; of others by the path of its page
    input:
        images=f"{DATA}/images.h5",
        model=result("classifier_train", "classifier/model.pt"),
    output:
        table="results/{dataset}/{run}/classifier/tag_audit.csv",
        page=report(
            "results/{dataset}/{run}/classifier/tag_audit.html",
            caption="../report/tag_audit.rst",
            category="Tags",
        ),
    log:
        "logs/{dataset}/{run}/classifier_audit_tags.log",
    benchmark:
        "benchmarks/{dataset}/{run}/classifier_audit_tags.tsv"
    wildcard_constraints:
        run=RUNS.owners("classifier_train"),
    conda:
        "../../envs/environment.yaml"
    threads: 8
    resources:
        gpu=min(CONFIGURATION.gpus_per_job, 1),
    params:
        settings=settings("classifier_audit_tags"),
        code=code("classifier.audit_tags"),
    shell:
        "python -m wsis_steps.classifier.audit_tags --images {input.images} --model {input.model}"
        " --table {output.table} --page {output.page}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"
