# Annotation Consistent Instances: two networks in turn. The conditional one sees the annotation and draws label sets of
# region proposals; the prediction one, a Mask R-CNN, learns from them; the conditional one learns from it for the next
# round. labels/roundNN are those of the conditional network of round NN, the predictions those of the last round.


rule annotation_consistency_initialise:
    input:
        images=f"{DATA}/images.h5",
        proposals=proposals("annotation_consistency_initialise"),
        pretrained=own_classifier("annotation_consistency_initialise"),
    output:
        model="results/{dataset}/{run}/annotation_consistency/round00/conditional.pt",
        metrics="results/{dataset}/{run}/annotation_consistency/round00/conditional.jsonl",
    log:
        "logs/{dataset}/{run}/annotation_consistency_initialise.log",
    benchmark:
        "benchmarks/{dataset}/{run}/annotation_consistency_initialise.tsv"
    wildcard_constraints:
        run=RUNS.owners("annotation_consistency_initialise"),
    priority: 2  # the longest chains go first
    conda:
        "../../envs/environment.yaml"
    threads: 16
    resources:
        gpu=gpus("annotation_consistency_initialise"),
    params:
        settings=settings("annotation_consistency_initialise"),
        code=code("annotation_consistency.initialise"),
        work="work/{dataset}/{run}/annotation_consistency_initialise",
        pretrained=lambda wildcards, input: f"--pretrained {input.pretrained}" if input.pretrained else "",
    shell:
        "python -m wsis_steps.annotation_consistency.initialise --images {input.images} --proposals {input.proposals}"
        " {params.pretrained} --model {output.model} --metrics {output.metrics} --work {params.work}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --ranks {resources.gpu} --log {log}"


rule annotation_consistency_sample:
    input:
        images=f"{DATA}/images.h5",
        proposals=proposals("annotation_consistency_sample"),
        edges=edge_maps("annotation_consistency_sample"),
        model=round_file("conditional.pt"),
    output:
        samples=share("results/{dataset}/{run}/annotation_consistency/round{round}/samples", kept=True),
        labels=share("results/{dataset}/{run}/labels/round{round}", kept=True),
    log:
        f"logs/{{dataset}}/{{run}}/annotation_consistency_sample_round{{round}}{SHARD}.log",
    benchmark:
        f"benchmarks/{{dataset}}/{{run}}/annotation_consistency_sample_round{{round}}{SHARD}.tsv"
    wildcard_constraints:
        run=RUNS.owners("annotation_consistency_sample"),
    priority: 2  # the longest chains go first
    conda:
        "../../envs/environment.yaml"
    threads: 8
    resources:
        gpu=gpus("annotation_consistency_sample"),
    params:
        settings=settings("annotation_consistency_sample"),
        code=code("annotation_consistency.sample"),
        shard=shard,
        edges=lambda wildcards, input: f"--edges {input.edges}" if input.edges else "",
    shell:
        "python -m wsis_steps.annotation_consistency.sample --images {input.images} --proposals {input.proposals}"
        " {params.edges} --model {input.model} --samples {output.samples} --labels {output.labels} --shard {params.shard}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --ranks {resources.gpu} --log {log}"


rule annotation_consistency_train_prediction:
    input:
        images=f"{DATA}/images.h5",
        samples=round_file("samples.h5"),
        previous=round_file("prediction.pt", before=1),
        pretrained=own_classifier("annotation_consistency_train_prediction"),
    output:
        model="results/{dataset}/{run}/annotation_consistency/round{round}/prediction.pt",
        metrics="results/{dataset}/{run}/annotation_consistency/round{round}/prediction.jsonl",
    log:
        "logs/{dataset}/{run}/annotation_consistency_train_prediction_round{round}.log",
    benchmark:
        "benchmarks/{dataset}/{run}/annotation_consistency_train_prediction_round{round}.tsv"
    wildcard_constraints:
        run=RUNS.owners("annotation_consistency_train_prediction"),
    priority: 2  # the longest chains go first
    conda:
        "../../envs/environment.yaml"
    threads: 16
    resources:
        gpu=gpus("annotation_consistency_train_prediction"),
    params:
        settings=settings("annotation_consistency_train_prediction"),
        code=code("annotation_consistency.train_prediction"),
        work="work/{dataset}/{run}/annotation_consistency_train_prediction_round{round}",
        previous=lambda wildcards, input: f"--previous {input.previous}" if input.previous else "",
        pretrained=lambda wildcards, input: f"--pretrained {input.pretrained}" if input.pretrained else "",
    shell:
        "python -m wsis_steps.annotation_consistency.train_prediction --images {input.images} --samples {input.samples}"
        " {params.previous} {params.pretrained} --model {output.model} --metrics {output.metrics}"
        " --work {params.work}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --ranks {resources.gpu} --log {log}"


rule annotation_consistency_train_conditional:
    input:
        images=f"{DATA}/images.h5",
        proposals=proposals("annotation_consistency_train_conditional"),
        edges=edge_maps("annotation_consistency_train_conditional"),
        conditional=round_file("conditional.pt", before=1),
        prediction=round_file("prediction.pt", before=1),
    output:
        model="results/{dataset}/{run}/annotation_consistency/round{round}/conditional.pt",
        metrics="results/{dataset}/{run}/annotation_consistency/round{round}/conditional.jsonl",
    log:
        "logs/{dataset}/{run}/annotation_consistency_train_conditional_round{round}.log",
    benchmark:
        "benchmarks/{dataset}/{run}/annotation_consistency_train_conditional_round{round}.tsv"
    wildcard_constraints:
        run=RUNS.owners("annotation_consistency_train_conditional"),
        round="(?!00)[0-9]{2}",
    priority: 2  # the longest chains go first
    conda:
        "../../envs/environment.yaml"
    threads: 16
    resources:
        gpu=gpus("annotation_consistency_train_conditional"),
    params:
        settings=settings("annotation_consistency_train_conditional"),
        code=code("annotation_consistency.train_conditional"),
        work="work/{dataset}/{run}/annotation_consistency_train_conditional_round{round}",
        edges=lambda wildcards, input: f"--edges {input.edges}" if input.edges else "",
    shell:
        "python -m wsis_steps.annotation_consistency.train_conditional --images {input.images} --proposals {input.proposals}"
        " {params.edges} --conditional {input.conditional} --prediction {input.prediction}"
        " --model {output.model} --metrics {output.metrics} --work {params.work}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --ranks {resources.gpu} --log {log}"
