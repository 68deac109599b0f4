import pytest

from curator.errors import RecipeError
from curator.recipe import from_mapping
from curator.recipe_model import split_options, with_options


def measured(**measure):
    return from_mapping({"sources": [{"from": "file:a.csv"}], "measure": measure}).measure


def test_a_models_options_are_written_into_its_name_and_read_back():
    options = {"pooling": "last", "prefix": "query: a&b=c? ", "max_tokens": 64}
    name = with_options("package:x/model", options)

    assert split_options(name) == ("package:x/model", options)
    assert measured(model={"from": "package:x/model", **options}).model == name
    assert measured(model="package:x/model").model == "package:x/model"


@pytest.mark.parametrize("name", ["folder", "odd?name", "a?b=c", "what?"])
def test_a_question_mark_that_no_option_follows_belongs_to_the_address(name):
    assert (name, {}) == split_options(name)


def test_training_options_stand_under_measure():
    found = measured(
        tiers=["all-layers"], method="rslora", epochs=3, loss="gce", targets=["q_proj"]
    )

    assert found.method == "rslora"
    assert found.training == {"epochs": 3, "loss": "gce", "targets": ["q_proj"]}


@pytest.mark.parametrize(
    ("measure", "told"),
    [
        ({"method": "prompt"}, "method 'prompt' is not one of .* of tier top-layers"),
        ({"method": "lorra"}, "no value 'lorra'.*Did you mean 'lora'"),
        ({"epochs": 0}, "measure: .*epochs is 0, expected a whole number from 1"),
        ({"loss": "hinge"}, "loss is 'hinge', expected one of"),
        ({"eposch": 3}, "no key 'eposch'.*Did you mean 'epochs'"),
        ({"model": {"pooling": "mean"}}, "model needs `from:`"),
        ({"model": {"from": "x", "pooling": "max"}}, "found 'max', expected one of mean, cls"),
        ({"model": {"from": "x", "max_tokens": "many"}}, "found 'many', expected a whole number"),
        ({"model": {"from": "x", "pool": "cls"}}, "no key 'pool'.*Did you mean 'pooling'"),
    ],
    ids=str,
)
def test_what_cannot_be_trained_is_told_with_the_recipes_other_faults(measure, told):
    with pytest.raises(RecipeError, match=told):
        measured(**measure)
