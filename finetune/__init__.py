"""A table and a spec to features, models and scores. Knows no versions, so it favours none."""

from .ahead import FitJob, fit_ahead
from .bounds import CACHE_BYTES, bound_caches
from .crossfit import CrossFit, crossfit, predict_children
from .causal import AnswerLosses, CausalModel, answer_losses, causal_revision, open_causal
from .embed import Encoder, Features, Progress, count_missing, embed, open_encoder
from .errors import FitError
from .fits import FitResult, fit_key, fit_revision, fit_scores
from .folders import POOLINGS
from .panel import Panel, ask_panel
from .probe import Projection, fit_projection, load_projection
from .records import read_record
from .spec import FitSpec, default_spec
from .tfidf import Terms, TfidfModel, fit_tfidf, load_tfidf
from .tiers import Training
from .trial import Trial, as_values, try_model

__all__ = [
    "CACHE_BYTES",
    "POOLINGS",
    "CrossFit",
    "Encoder",
    "Features",
    "AnswerLosses",
    "CausalModel",
    "FitError",
    "FitJob",
    "FitResult",
    "FitSpec",
    "Panel",
    "Progress",
    "Projection",
    "Terms",
    "TfidfModel",
    "Training",
    "Trial",
    "as_values",
    "ask_panel",
    "bound_caches",
    "answer_labels",
    "answer_losses",
    "count_missing",
    "crossfit",
    "default_spec",
    "causal_revision",
    "chance_error",
    "embed",
    "fit_ahead",
    "fit_key",
    "fit_projection",
    "fit_revision",
    "fit_scores",
    "fit_tfidf",
    "load_projection",
    "load_tfidf",
    "open_encoder",
    "predict_children",
    "read_record",
    "try_model",
    "macro_f1",
    "micro_f1",
    "open_causal",
]
