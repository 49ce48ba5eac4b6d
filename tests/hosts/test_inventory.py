"""Which image an image is built on, and which build steps made its layers."""

from __future__ import annotations

from imgopt_pipeline.hosts.engine import layer_steps
from imgopt_pipeline.hosts.inventory import base_of
from imgopt_pipeline.hosts.models import Image, with_chain_ids


def image(name: str, layers: str, *, base: str | None = None) -> Image:
    diff_ids = [f"sha256:{letter * 64}" for letter in layers]
    references = (name,) if name else ()
    return Image(
        image_id=f"sha256:{name or layers}",
        references=references,
        digests=(),
        layers=with_chain_ids(diff_ids, [None] * len(diff_ids)),
        base_reference=base,
    )


def test_the_longest_prefix_wins() -> None:
    images = [image("debian:12", "a"), image("python:3", "ab"), image("app:1", "abc"), image("other:1", "xbc")]
    base, name, evidence = base_of(images[2], images)
    assert (base, name, evidence) == (images[1], "python:3", "layer prefix")


def test_equal_layers_are_no_base() -> None:
    images = [image("app:1", "abc"), image("app:copy", "abc")]
    assert base_of(images[0], images) == (None, None, None)


def test_layers_in_another_place_are_no_prefix() -> None:
    images = [image("base:1", "b"), image("app:1", "ab")]
    assert base_of(images[1], images) == (None, None, None)


def test_an_image_without_layers_is_nobodys_base() -> None:
    images = [image("scratch:1", ""), image("app:1", "ab")]
    assert base_of(images[1], images) == (None, None, None)


def test_the_annotation_wins_also_where_that_image_is_not_here() -> None:
    images = [image("debian:12", "a"), image("app:1", "ab", base="ghost:1"), image("app:2", "ab", base="debian:12")]
    assert base_of(images[1], images) == (None, "ghost:1", "annotation")
    assert base_of(images[2], images) == (images[0], "debian:12", "annotation")


def test_of_equal_bases_the_one_with_a_tag() -> None:
    images = [image("", "a"), image("debian:12", "a"), image("app:1", "ab")]
    assert base_of(images[2], images)[1] == "debian:12"


def created_by(steps: list[tuple[str, int]], layers: int) -> list[str]:
    history = [{"CreatedBy": text, "Size": size} for text, size in steps]
    return [step["created_by"] for step in layer_steps(history, layers) if not step["empty_layer"]]


def test_steps_that_only_set_metadata_make_no_layer() -> None:
    steps = [
        ("/bin/sh -c #(nop) ADD file:1 in / ", 100),
        ('/bin/sh -c #(nop)  CMD ["sh"]', 0),
        ("ENV A=b", 0),
        ("RUN /bin/sh -c true # buildkit", 0),
        ('ENTRYPOINT ["x"]', 0),
    ]
    assert created_by(steps, 2) == [steps[0][0], steps[3][0]]


def test_a_workdir_counts_only_where_it_made_a_directory() -> None:
    steps = [("COPY a b", 5), ("WORKDIR /made", 0), ("COPY c d", 5)]
    assert created_by(steps, 3) == ["COPY a b", "WORKDIR /made", "COPY c d"]
    assert created_by(steps, 2) == ["COPY a b", "COPY c d"]
