"""What a spec can name with `use`: the declared parameters of every built-in component.

A component is declared by a frozen struct whose fields are its parameters and whose tag is its short
name. The schema, the checks, the defaults and the documentation all come from this declaration; what
a component does is written where its library may be imported (`models`, `data`, `run`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from specplan.components.callback import (
    EarlyStopping,
    Evaluation,
    LearningRate,
    ReduceOnPlateau,
)
from specplan.components.loss import (
    L1,
    BinaryCrossEntropyWithLogits,
    CrossEntropy,
    Huber,
    MeanSquaredError,
    SmoothL1,
    TripletMargin,
)
from specplan.components.merge import Concat
from specplan.components.method import CmaEs, Grid, Qmc, Random, Tpe
from specplan.components.metric import (
    F1,
    R2,
    Accuracy,
    BalancedAccuracy,
    BinaryAccuracy,
    MeanAbsoluteError,
    MeanSquaredErrorMetric,
    Precision,
    Recall,
    RocAuc,
    RootMeanSquaredError,
)
from specplan.components.model import Cnn, Mlp, TemporalCnn
from specplan.components.optimizer import SGD, Adam, AdamW, RMSprop
from specplan.components.pruner import Hyperband, Median, SuccessiveHalving
from specplan.components.repetition import Folds, Seeds
from specplan.components.sampler import Paired, Roles, Simple, Triplet
from specplan.components.scaler import (
    Absolute,
    MaxAbs,
    MinMax,
    Negate,
    Normalizer,
    PerSampleMinMax,
    PerSampleZeroStart,
    Power,
    Quantile,
    Robust,
    Segmented,
    Standard,
)
from specplan.components.source import ArrowFile, MemoryTable, ParquetFile
from specplan.components.split import (
    ColumnSplit,
    ConditionSplit,
    OrderedSplit,
    RandomSplit,
    RowsSplit,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from specplan.components.component import Component

Kind = Literal[
    "source",
    "split",
    "scaler",
    "sampler",
    "model",
    "merge",
    "loss",
    "optimizer",
    "metric",
    "callback",
    "repetition",
    "method",
    "pruner",
]
KINDS: tuple[Kind, ...] = get_args(Kind)


def _by_name(*classes: type[Component]) -> Mapping[str, type[Component]]:
    return {str(cls.__struct_config__.tag): cls for cls in classes}


COMPONENTS: Mapping[Kind, Mapping[str, type[Component]]] = {
    "source": _by_name(ParquetFile, ArrowFile, MemoryTable),
    "split": _by_name(RandomSplit, OrderedSplit, ColumnSplit, ConditionSplit, RowsSplit),
    "scaler": _by_name(
        Standard,
        MinMax,
        MaxAbs,
        Robust,
        Normalizer,
        Quantile,
        Power,
        Absolute,
        Negate,
        PerSampleMinMax,
        PerSampleZeroStart,
        Segmented,
    ),
    "sampler": _by_name(Simple, Paired, Triplet, Roles),
    "model": _by_name(Mlp, Cnn, TemporalCnn),
    "merge": _by_name(Concat),
    "loss": _by_name(
        MeanSquaredError,
        L1,
        SmoothL1,
        Huber,
        CrossEntropy,
        BinaryCrossEntropyWithLogits,
        TripletMargin,
    ),
    "optimizer": _by_name(SGD, Adam, AdamW, RMSprop),
    "metric": _by_name(
        Accuracy,
        BalancedAccuracy,
        Precision,
        Recall,
        F1,
        BinaryAccuracy,
        RocAuc,
        MeanAbsoluteError,
        MeanSquaredErrorMetric,
        RootMeanSquaredError,
        R2,
    ),
    "callback": _by_name(Evaluation, EarlyStopping, LearningRate, ReduceOnPlateau),
    "repetition": _by_name(Folds, Seeds),
    "method": _by_name(Grid, Random, Qmc, Tpe, CmaEs),
    "pruner": _by_name(Median, SuccessiveHalving, Hyperband),
}
