"""The fork's tables; upstream's own stay as they are."""

from label_studio.ml_host.models.backends import BackendEvent, FailureRecord, ProjectBackend
from label_studio.ml_host.models.label_errors import LabelErrorRun, LabelReview
from label_studio.ml_host.models.prelabeling import PrelabelFailure, PrelabelRun, PrelabelShard
from label_studio.ml_host.models.remote import RemoteProject
from label_studio.ml_host.models.replay import ReplayRun
from label_studio.ml_host.models.sampling import SampledTask, SamplingFindings, SamplingPlan, TaskScore
from label_studio.ml_host.models.sdk import SdkValue
from label_studio.ml_host.models.training import TrainingRun
from label_studio.ml_host.models.versions import DatasetSnapshot, Evaluation, ModelVersion, version_label

__all__ = [
    'BackendEvent',
    'DatasetSnapshot',
    'Evaluation',
    'FailureRecord',
    'LabelErrorRun',
    'LabelReview',
    'ModelVersion',
    'PrelabelFailure',
    'PrelabelRun',
    'PrelabelShard',
    'ProjectBackend',
    'RemoteProject',
    'ReplayRun',
    'SampledTask',
    'SamplingFindings',
    'SamplingPlan',
    'SdkValue',
    'TaskScore',
    'TrainingRun',
    'version_label',
]
