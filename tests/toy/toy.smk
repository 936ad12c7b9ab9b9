# A toy: a rectangle for every tag, which shrinks from round to round.


rule toy_label:
    input:
        images=IMAGES,
    output:
        labels=writes("toy_label", "labels"),
    log:
        record("logs", "toy_label", ".log"),
    benchmark:
        record("benchmarks", "toy_label", ".tsv")
    wildcard_constraints:
        **where("toy_label"),
    conda:
        ENVIRONMENT
    params:
        **common("toy_label"),
    shell:
        command("toy_label", "--images {input.images} --labels {output.labels}")


rule toy_refine:
    input:
        images=IMAGES,
        previous=reads("toy_refine", "previous"),
    output:
        labels=writes("toy_refine", "labels"),
        predictions=writes("toy_refine", "predictions"),
    log:
        record("logs", "toy_refine", ".log"),
    benchmark:
        record("benchmarks", "toy_refine", ".tsv")
    wildcard_constraints:
        **where("toy_refine"),
    conda:
        ENVIRONMENT
    params:
        **common("toy_refine"),
    shell:
        command(
            "toy_refine",
            "--images {input.images} --previous {input.previous} --labels {output.labels} "
            "--predictions {output.predictions}",
        )
