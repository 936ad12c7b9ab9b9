"""The settings of every step, a file for each folder of steps; imports no torch.

Defaults are the papers' values. A step's section in `config.yaml` carries the step's name; a run may override
any of them under its own `steps`. Devices, worker counts and log intervals are not settings.
"""

from wsis_steps.settings.annotation_consistency import (
    AnnotationConsistencyInitialise,
    AnnotationConsistencySample,
    AnnotationConsistencyTrainConditional,
    AnnotationConsistencyTrainPrediction,
)
from wsis_steps.settings.base import Settings
from wsis_steps.settings.bestie import BestieInfer, BestieLabel, BestieTrain
from wsis_steps.settings.classifier import ClassifierAuditTags, ClassifierFindPeaks, ClassifierInfer, ClassifierTrain
from wsis_steps.settings.community_learning import CommunityLearningInfer, CommunityLearningTrain
from wsis_steps.settings.data import (
    DataDownloadArchives,
    DataDrawShapes,
    DataImportCorrections,
    DataImportDataset,
    DataImportSemantic,
)
from wsis_steps.settings.evaluation import (
    EvaluationListResults,
    EvaluationScoreInstances,
    EvaluationScoreLabels,
    EvaluationScoreProposals,
    EvaluationScoreSemantics,
    EvaluationSummarise,
    ReportListCosts,
    ReportRenderReport,
)
from wsis_steps.settings.learning_to_segment import LearningToSegmentInfer, LearningToSegmentTrain
from wsis_steps.settings.maskrcnn import MaskrcnnInfer, MaskrcnnTrain
from wsis_steps.settings.postprocess import (
    PostprocessMergeShards,
    PostprocessRefineWithCrf,
    PostprocessReplaceWithProposals,
)
from wsis_steps.settings.proposals import (
    ProposalsFindEdges,
    ProposalsGroupRegions,
    ProposalsImportProposals,
    ProposalsSearchSelectively,
    ProposalsTrainEdges,
    ProposalsTrainRanker,
)

STEPS: dict[str, type[Settings]] = {
    "data_draw_shapes": DataDrawShapes,
    "data_download_archives": DataDownloadArchives,
    "data_import_dataset": DataImportDataset,
    "data_import_semantic": DataImportSemantic,
    "data_import_corrections": DataImportCorrections,
    "proposals_search_selectively": ProposalsSearchSelectively,
    "proposals_group_regions": ProposalsGroupRegions,
    "proposals_find_edges": ProposalsFindEdges,
    "proposals_import_proposals": ProposalsImportProposals,
    "classifier_train": ClassifierTrain,
    "classifier_infer": ClassifierInfer,
    "classifier_find_peaks": ClassifierFindPeaks,
    "classifier_audit_tags": ClassifierAuditTags,
    "postprocess_merge_shards": PostprocessMergeShards,
    "postprocess_refine_with_crf": PostprocessRefineWithCrf,
    "postprocess_replace_with_proposals": PostprocessReplaceWithProposals,
    "learning_to_segment_train": LearningToSegmentTrain,
    "learning_to_segment_infer": LearningToSegmentInfer,
    "bestie_label": BestieLabel,
    "bestie_train": BestieTrain,
    "bestie_infer": BestieInfer,
    "community_learning_train": CommunityLearningTrain,
    "community_learning_infer": CommunityLearningInfer,
    "annotation_consistency_initialise": AnnotationConsistencyInitialise,
    "annotation_consistency_sample": AnnotationConsistencySample,
    "annotation_consistency_train_prediction": AnnotationConsistencyTrainPrediction,
    "annotation_consistency_train_conditional": AnnotationConsistencyTrainConditional,
    "maskrcnn_train": MaskrcnnTrain,
    "maskrcnn_infer": MaskrcnnInfer,
    "proposals_train_edges": ProposalsTrainEdges,
    "proposals_train_ranker": ProposalsTrainRanker,
    "evaluation_score_instances": EvaluationScoreInstances,
    "evaluation_score_labels": EvaluationScoreLabels,
    "evaluation_score_semantics": EvaluationScoreSemantics,
    "evaluation_score_proposals": EvaluationScoreProposals,
    "evaluation_list_results": EvaluationListResults,
    "evaluation_summarise": EvaluationSummarise,
    "report_list_costs": ReportListCosts,
    "report_render_report": ReportRenderReport,
}
