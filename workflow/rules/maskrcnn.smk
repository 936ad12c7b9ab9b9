# Mask R-CNN on the labels of any run.


rule maskrcnn_train:
    input:
        images=f"{DATA}/images.h5",
        labels=last_labels,
        pretrained=own_classifier("maskrcnn_train"),
    output:
        model="results/{dataset}/{run}/maskrcnn/model.pt",
        metrics="results/{dataset}/{run}/maskrcnn/metrics.jsonl",
    wildcard_constraints:
        run=RUNS.owners("maskrcnn_train"),
    params:
        settings=settings("maskrcnn_train"),
        code=code("maskrcnn.train"),
        work="work/{dataset}/{run}/maskrcnn_train",
        pretrained=lambda wildcards, input: f"--pretrained {input.pretrained}" if input.pretrained else "",
    log:
        "logs/{dataset}/{run}/maskrcnn_train.log",
    benchmark:
        "benchmarks/{dataset}/{run}/maskrcnn_train.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 16
    resources:
        gpu=1,
        mem_mb=24000,
    shell:
        "python -m wsis_steps.maskrcnn.train --images {input.images} --labels {input.labels} {params.pretrained}"
        " --model {output.model} --metrics {output.metrics} --work {params.work} " + COMMON


rule maskrcnn_infer:
    input:
        images=f"{DATA}/images.h5",
        model=result("maskrcnn_train", "maskrcnn/model.pt"),
    output:
        predictions="results/{dataset}/{run}/predictions/val.h5",
    wildcard_constraints:
        run=RUNS.owners("maskrcnn_infer"),
    params:
        settings=settings("maskrcnn_infer"),
        code=code("maskrcnn.infer"),
    log:
        "logs/{dataset}/{run}/maskrcnn_infer.log",
    benchmark:
        "benchmarks/{dataset}/{run}/maskrcnn_infer.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=16000,
    shell:
        "python -m wsis_steps.maskrcnn.infer --images {input.images} --model {input.model}"
        " --predictions {output.predictions} " + COMMON
