"""What people found, on the page: figures with intervals, letters for names, nothing unescaped."""

from reports import BinFacts, ReliabilityFacts, ReviewerFacts, ReviewFacts, render, twin


def review(**changed):
    person = ReviewerFacts(
        name="A", answers=40, hours=0.5, per_hour=80.0, known_right=0.9, known_low=0.6,
        known_high=0.98, known_of=10, others=None, others_low=None, others_high=None,
    )  # fmt: skip
    given = {
        "project": "bank review", "tasks": 50, "answered": 40, "left": 10, "wanted": 3,
        "hours": 0.5, "sentences": ("agreement: .8 [.7, .9]",), "people": (person,),
        "command": "curator annotate status --project 3",
    }  # fmt: skip
    return ReviewFacts(**given | changed)


def proof():
    told = {"name": "P(wrong) 0 to 0.02", "rows": 900, "promised": 0.01}
    return ReliabilityFacts(
        bins=(
            BinFacts(**told, judged=20, wrong=1, share=0.05, low=0.001, high=0.249),
            BinFacts(**told, judged=0, wrong=0, share=None, low=None, high=None),
        ),
        sentences=("relabel: refused",),
        command="curator calibrate main --table",
    )


def test_a_review_and_its_proof_stand_on_the_page_with_their_intervals(build):
    page = render(build.facts(reviews=(review(),), reliability=proof()))

    assert "What people found" in page
    assert "nobody else" in page
    assert "nobody judged" in page
    for told in ("bank review", "agreement: .8 [.7, .9]", "relabel: refused"):
        assert told in page


def test_without_people_there_is_no_such_section(build):
    page = render(build.facts())

    assert "What people found" not in page
    assert [] == twin(build.facts())["reviews"]


def test_a_title_of_the_server_is_escaped(build):
    page = render(build.facts(reviews=(review(project="<script>alert(1)</script>"),)))

    assert "<script" not in page
