# Tags to activation maps to instance cues.


rule classifier_train:
    input:
        images=f"{DATA}/images.h5",
    output:
        model="results/{dataset}/{run}/classifier/model.pt",
        metrics="results/{dataset}/{run}/classifier/metrics.jsonl",
    wildcard_constraints:
        run=RUNS.owners("classifier_train"),
    params:
        settings=settings("classifier_train"),
        code=code("classifier.train"),
        work="work/{dataset}/{run}/classifier_train",
    log:
        "logs/{dataset}/{run}/classifier_train.log",
    benchmark:
        "benchmarks/{dataset}/{run}/classifier_train.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=16000,
    shell:
        "python -m wsis_steps.classifier.train --images {input.images} --model {output.model}"
        " --metrics {output.metrics} --work {params.work} " + COMMON


rule classifier_infer:
    input:
        images=f"{DATA}/images.h5",
        model=result("classifier_train", "classifier/model.pt"),
    output:
        maps="results/{dataset}/{run}/classifier/train.h5",
    wildcard_constraints:
        run=RUNS.owners("classifier_infer"),
    params:
        settings=settings("classifier_infer"),
        code=code("classifier.infer"),
    log:
        "logs/{dataset}/{run}/classifier_infer.log",
    benchmark:
        "benchmarks/{dataset}/{run}/classifier_infer.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=16000,
    shell:
        "python -m wsis_steps.classifier.infer --images {input.images} --model {input.model}"
        " --maps {output.maps} " + COMMON


rule classifier_find_peaks:
    input:
        maps=result("classifier_infer", "classifier/train.h5"),
    output:
        peaks="results/{dataset}/{run}/classifier/peaks.h5",
    wildcard_constraints:
        run=RUNS.owners("classifier_find_peaks"),
    params:
        settings=settings("classifier_find_peaks"),
        code=code("classifier.find_peaks"),
    log:
        "logs/{dataset}/{run}/classifier_find_peaks.log",
    benchmark:
        "benchmarks/{dataset}/{run}/classifier_find_peaks.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 4
    shell:
        "python -m wsis_steps.classifier.find_peaks --maps {input.maps}"
        " --peaks {output.peaks} " + COMMON
