# Semantic maps that follow the edges of the picture, and predicted masks that follow its regions. Where `shards` jobs
# share the images of a step, what they make is joined into the file that one job would have written.


rule postprocess_merge_shards:
    input:
        shards=shards("results/{dataset}/{path}"),
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
        "../../envs/environment.yaml"
    params:
        settings=settings("postprocess_merge_shards"),
        code=code("postprocess.merge_shards"),
    shell:
        "python -m wsis_steps.postprocess.merge_shards --shards {input.shards} --merged {output.merged}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"


rule postprocess_refine_with_crf:
    input:
        images=f"{DATA}/images.h5",
        maps=result("classifier_infer", "classifier/train.h5"),
    output:
        semantic=share("results/{dataset}/{run}/semantic/train"),
    log:
        f"logs/{{dataset}}/{{run}}/postprocess_refine_with_crf{SHARD}.log",
    benchmark:
        f"benchmarks/{{dataset}}/{{run}}/postprocess_refine_with_crf{SHARD}.tsv"
    wildcard_constraints:
        run=RUNS.owners("postprocess_refine_with_crf"),
    priority: 2  # the longest chains go first
    conda:
        "../../envs/environment.yaml"
    threads: 16
    params:
        settings=settings("postprocess_refine_with_crf"),
        code=code("postprocess.refine_with_crf"),
        shard=shard,
    shell:
        "python -m wsis_steps.postprocess.refine_with_crf --images {input.images} --maps {input.maps}"
        " --semantic {output.semantic}"
        " --shard {params.shard} --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"


rule postprocess_replace_with_proposals:
    input:
        predictions=unreplaced,
        proposals=proposals("postprocess_replace_with_proposals"),
    output:
        replaced="results/{dataset}/{run}/predictions/{name}_mcg.h5",
    log:
        "logs/{dataset}/{run}/postprocess_replace_with_proposals_{name}.log",
    benchmark:
        "benchmarks/{dataset}/{run}/postprocess_replace_with_proposals_{name}.tsv"
    wildcard_constraints:
        name="[a-z0-9]+",
    conda:
        "../../envs/environment.yaml"
    threads: 16
    params:
        settings=settings("postprocess_replace_with_proposals"),
        code=code("postprocess.replace_with_proposals"),
    shell:
        "python -m wsis_steps.postprocess.replace_with_proposals --predictions {input.predictions}"
        " --proposals {input.proposals} --replaced {output.replaced}"
        " --settings {params.settings:q} --code {params.code} --threads {threads} --log {log}"
