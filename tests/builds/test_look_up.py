"""The image in use is found by what runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgopt_pipeline.builds.preparing import image_run_by
from imgopt_pipeline.errors import ImageNotFound
from tests.builds.test_sources import container

SHOP = Path("/srv/shop")
WEB = container(SHOP)
OLD = container(SHOP, name="shop-web-2", container_id="2", image_id="sha256:2", image_reference="shop-web:old")


@pytest.mark.parametrize(
    ("name", "image_id"),
    [("web", "sha256:1"), ("shop/web", "sha256:1"), ("shop-web-1", "sha256:1"), ("1", "sha256:1"), ("other/web", None)],
)
def test_by_container_and_service(name: str, image_id: str | None) -> None:
    other = container(None, name="db", container_id="3", image_id="sha256:3")
    assert image_run_by(name, [other, WEB]) == image_id


def test_what_is_set_aside_or_stopped_beside_it_does_not_count() -> None:
    aside = container(SHOP, name="shop-web-1.imgopt-11aa22cc-old", container_id="4", image_id="sha256:4")
    stopped = container(SHOP, name="shop-web-3", container_id="5", image_id="sha256:5", running=False)
    assert image_run_by("web", [aside, stopped, WEB]) == "sha256:1"
    assert image_run_by("web", [stopped]) == "sha256:5"
    assert image_run_by("web", [aside]) is None


def test_several_images_are_named() -> None:
    with pytest.raises(ImageNotFound) as error:
        image_run_by("shop/web", [WEB, OLD])
    assert str(error.value).startswith(
        "shop/web: that service runs several images:"
        " shop-web (container shop-web-1), shop-web:old (container shop-web-2)."
    )
