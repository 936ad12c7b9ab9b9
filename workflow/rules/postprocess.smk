# Semantic maps that follow image edges, and predicted masks that follow region proposals. Also merges the results of
# `shards` jobs that share a step's images into the file that one job would have written.


rule postprocess_merge_shards:
    input:
        shards=parts("results/{dataset}/{path}"),
    output:
        merged="results/{dataset}/{path}.h5",
    log:
        "logs/{dataset}/{path}/postprocess_merge_shards.log",
    benchmark:
        "benchmarks/{dataset}/{path}/postprocess_merge_shards.tsv"
    wildcard_constraints:
        path=RUNS.joined(),
    priority: 2  # the longest chains go first
    conda:
        ENVIRONMENT
    params:
        **common("postprocess_merge_shards"),
    shell:
        command("postprocess_merge_shards", "--shards {input.shards} --merged {output.merged}")


rule postprocess_refine_with_crf:
    input:
        images=IMAGES,
        maps=reads("postprocess_refine_with_crf", "maps"),
    output:
        semantic=writes("postprocess_refine_with_crf", "semantic"),
    log:
        record("logs", "postprocess_refine_with_crf", ".log"),
    benchmark:
        record("benchmarks", "postprocess_refine_with_crf", ".tsv")
    wildcard_constraints:
        **where("postprocess_refine_with_crf"),
    priority: 2  # the longest chains go first
    conda:
        ENVIRONMENT
    threads: 16
    params:
        **common("postprocess_refine_with_crf"),
    shell:
        command(
            "postprocess_refine_with_crf",
            "--images {input.images} --maps {input.maps} --semantic {output.semantic}",
        )


rule postprocess_pool_over_regions:
    input:
        maps=reads("postprocess_pool_over_regions", "maps"),
        proposals=reads("postprocess_pool_over_regions", "proposals"),
    output:
        semantic=writes("postprocess_pool_over_regions", "semantic"),
    log:
        record("logs", "postprocess_pool_over_regions", ".log"),
    benchmark:
        record("benchmarks", "postprocess_pool_over_regions", ".tsv")
    wildcard_constraints:
        **where("postprocess_pool_over_regions"),
    priority: 2  # the longest chains go first
    conda:
        ENVIRONMENT
    threads: 16
    params:
        **common("postprocess_pool_over_regions"),
    shell:
        command(
            "postprocess_pool_over_regions",
            "--proposals {input.proposals} --semantic {output.semantic}",
        )


rule postprocess_replace_with_proposals:
    input:
        predictions=located("predictions"),
        proposals=reads("postprocess_replace_with_proposals", "proposals"),
    output:
        replaced="results/{dataset}/{run}/predictions/{name}_mcg.h5",
    log:
        record("logs", "postprocess_replace_with_proposals", ".log", more="_{name}"),
    benchmark:
        record("benchmarks", "postprocess_replace_with_proposals", ".tsv", more="_{name}")
    wildcard_constraints:
        name="[a-z0-9]+",
    conda:
        ENVIRONMENT
    threads: 16
    params:
        **common("postprocess_replace_with_proposals"),
    shell:
        command(
            "postprocess_replace_with_proposals",
            "--predictions {input.predictions} --proposals {input.proposals} --replaced {output.replaced}",
        )
