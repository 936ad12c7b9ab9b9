# Boxes and regions that may hold an object: of all images, for all runs.


rule proposals_search_selectively:
    input:
        images=f"{DATA}/images.h5",
    output:
        proposals="results/{dataset}/shared/proposals/selective_search.h5",
    log:
        "logs/{dataset}/shared/proposals_search_selectively.log",
    benchmark:
        "benchmarks/{dataset}/shared/proposals_search_selectively.tsv"
    conda:
        "../../envs/light.yaml"
    threads: 16
    params:
        settings=settings("proposals_search_selectively"),
        code=code("proposals.search_selectively"),
    shell:
        "python -m wsis_steps.proposals.search_selectively --images {input.images}"
        " --proposals {output.proposals}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"


rule proposals_import_proposals:
    input:
        images=f"{DATA}/images.h5",
    output:
        proposals="results/{dataset}/shared/proposals/imported.h5",
    log:
        "logs/{dataset}/shared/proposals_import_proposals.log",
    benchmark:
        "benchmarks/{dataset}/shared/proposals_import_proposals.tsv"
    conda:
        "../../envs/light.yaml"
    threads: 8
    params:
        settings=settings("proposals_import_proposals"),
        code=code("proposals.import_proposals"),
    shell:
        "python -m wsis_steps.proposals.import_proposals --images {input.images} --proposals {output.proposals}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"
