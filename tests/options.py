"""Components and whole configs, as hypothesis draws them from the options' annotations."""

import typing

import annotated_types as limits
from hypothesis import strategies as st

from tinynet.common import annotations, components
from tinynet.config import grammar

grammar.load_all()


def values(annotation):
    """Values that an option's annotation allows."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is annotations.LayerList:
        return st.lists(st.deferred(lambda: component_of("layer")), max_size=2)
    if typing.is_typeddict(annotation):
        return mappings(components.options(annotation))
    if origin is typing.Annotated:
        low = max([limit.gt for limit in arguments[1:] if isinstance(limit, limits.Gt)], default=None)
        low_or = max([limit.ge for limit in arguments[1:] if isinstance(limit, limits.Ge)], default=None)
        high = min([limit.lt for limit in arguments[1:] if isinstance(limit, limits.Lt)], default=None)
        high_or = min([limit.le for limit in arguments[1:] if isinstance(limit, limits.Le)], default=None)
        if arguments[0] is int:
            return st.integers(low + 1 if low is not None else low_or, high_or or 10**6)
        if arguments[0] is float:
            floats = st.floats(low if low is not None else low_or, high or high_or or 1e6, width=64)
            return floats.filter(lambda x: x not in (low, high))
        return values(arguments[0])
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if origin is list or (origin is tuple and arguments[-1] is ...):
        return st.lists(values(arguments[0]), min_size=1, max_size=3)
    if origin is tuple:
        return st.tuples(*map(values, arguments)).map(list)
    if arguments:
        return st.one_of(*map(values, arguments))
    plain = {
        int: st.integers(-5, 5),
        float: st.floats(allow_nan=False, allow_infinity=False),
        bool: st.booleans(),
        str: st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True),
        type(None): st.none(),
    }
    return plain[annotation]


def mappings(options):
    """What is required, and some of the rest."""
    required = {o.name: values(o.annotation) for o in options if o.required}
    optional = {o.name: values(o.annotation) for o in options if not o.required}
    # The one option that another one needs, and a file of biases where there are none, have tests of their own.
    optional.pop("nesterov", None)
    found = st.fixed_dictionaries(required, optional=optional)
    return found.filter(lambda given: given.get("bias", True) or not isinstance(given.get("init"), dict))


def component_of(kind):
    """Any component of a kind in the forms of the grammar, with some of its options."""

    def forms(cls):
        return mappings(components.options(cls)).map(lambda options: {cls.__name__: options})

    return st.sampled_from(list(components.classes(kind).values())).flatmap(forms)


CONFIGS = st.fixed_dictionaries(
    {
        "dataset": component_of("dataset"),
        "layers": st.lists(component_of("layer"), min_size=1, max_size=4),
        "loss": component_of("loss"),
        "optimizer": component_of("optimizer"),
    },
    optional={
        "name": values(str),
        "seed": st.integers(0, 2**40),
        "dtype": st.sampled_from(["float32", "float64"]),
        "schedule": component_of("schedule") | st.lists(component_of("schedule"), max_size=3),
        "training": st.fixed_dictionaries(
            {},
            optional={
                option.name: values(option.annotation)
                for option in components.options(grammar.Training)
                if option.form is None
            }
            | {"early_stopping": mappings(components.options(grammar.EarlyStopping))}
            | {"start_from": values(str) | mappings(components.options(grammar.StartFrom))},
        ),
    },
)
