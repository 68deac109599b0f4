"""A table and a spec to features, models and scores. Knows no versions, so it favours none."""

from .ahead import FitJob, fit_ahead
from .answers import answer_labels
from .bounds import CACHE_BYTES, bound_caches
from .causal import AnswerLosses, CausalModel, answer_losses, causal_revision, open_causal
from .crossfit import CrossFit, crossfit, predict_children
from .embed import Encoder, Features, Progress, count_missing, embed, library_version, open_encoder
from .errors import FitError
from .fits import FitResult, fit_key, fit_revision, fit_scores
from .folders import POOLINGS
from .label_sets import crossfit_sets
from .metrics import calibration_error as chance_error
from .metrics import exact_share, macro_f1, micro_f1, span_macro_f1
from .panel import Panel, ask_panel
from .probe import PROBE_AXES, Projection, fit_projection, load_projection
from .records import read_record
from .spec import FitSpec, default_spec
from .tagger import Tagged, crossfit_tags
from .tfidf import Terms, TfidfModel, fit_tfidf, load_tfidf
from .tiers import Training, vectors_of_words
from .trial import Trial, as_values, try_model

__all__ = [
    "CACHE_BYTES",
    "POOLINGS",
    "PROBE_AXES",
    "AnswerLosses",
    "CausalModel",
    "CrossFit",
    "Encoder",
    "Features",
    "FitError",
    "FitJob",
    "FitResult",
    "FitSpec",
    "Panel",
    "Progress",
    "Projection",
    "Tagged",
    "Terms",
    "TfidfModel",
    "Training",
    "Trial",
    "answer_labels",
    "answer_losses",
    "as_values",
    "ask_panel",
    "bound_caches",
    "causal_revision",
    "chance_error",
    "count_missing",
    "crossfit",
    "crossfit_sets",
    "crossfit_tags",
    "default_spec",
    "embed",
    "exact_share",
    "fit_ahead",
    "fit_key",
    "fit_projection",
    "fit_revision",
    "fit_scores",
    "fit_tfidf",
    "library_version",
    "load_projection",
    "load_tfidf",
    "macro_f1",
    "micro_f1",
    "open_causal",
    "open_encoder",
    "predict_children",
    "read_record",
    "span_macro_f1",
    "try_model",
    "vectors_of_words",
]
