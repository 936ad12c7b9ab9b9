# Region proposals and what they learn from.


rule proposals_train_edges:  # asked for by name; the package has weights
    output:
        model=f"results/{DATASET}/shared/proposals/edges.pt",
        metrics=f"results/{DATASET}/shared/proposals/edges.jsonl",
    log:
        f"logs/{DATASET}/shared/proposals_train_edges.log",
    benchmark:
        f"benchmarks/{DATASET}/shared/proposals_train_edges.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=8000,
    params:
        settings=settings("proposals_train_edges"),
        code=code("proposals.train_edges"),
        work=f"work/{DATASET}/shared/proposals_train_edges",
    shell:
        "python -m wsis_steps.proposals.train_edges --model {output.model} --metrics {output.metrics}"
        " --work {params.work}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"
