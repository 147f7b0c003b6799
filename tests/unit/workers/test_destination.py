import pytest

from models.vocabulary import BundleUse
from service.settings import Settings
from service.settings_security import is_loopback
from workers.destination import RouteKind, banner, decide

NEAR = "ORTHANC@127.0.0.1:4242"
FAR = "PACS@pacs.hospital.example:104"
RESTRICTED = (BundleUse.DEMO, BundleUse.RESEARCH)


def a_setup(pacs: str = "", delivery: str = "auto", demo_override: str = "") -> Settings:
    return Settings.model_validate(
        {"pacs": pacs, "delivery": delivery, "demo_override": demo_override}
    )


@pytest.mark.parametrize("use", BundleUse)
def test_loopback_is_live_for_every_bundle(use: BundleUse) -> None:
    route = decide(use, a_setup(NEAR))
    assert (route.kind, str(route.to), route.overridden) == (RouteKind.LIVE, NEAR, False)


@pytest.mark.parametrize("use", BundleUse)
def test_without_an_archive_nothing_is_sent(use: BundleUse) -> None:
    route = decide(use, a_setup())
    assert route.kind is RouteKind.SHADOW
    assert "CARINA_PACS" in route.reason


@pytest.mark.parametrize("use", BundleUse)
def test_shadow_beats_even_loopback(use: BundleUse) -> None:
    assert decide(use, a_setup(NEAR, "shadow")).kind is RouteKind.SHADOW


@pytest.mark.parametrize("use", BundleUse)
def test_any_other_archive_starts_in_shadow(use: BundleUse) -> None:
    route = decide(use, a_setup(FAR, demo_override=FAR))
    assert route.kind is RouteKind.SHADOW
    assert "not set to live" in route.reason


@pytest.mark.parametrize("use", RESTRICTED)
def test_a_restricted_bundle_never_reaches_a_clinic_by_going_live(use: BundleUse) -> None:
    route = decide(use, a_setup(FAR, "live"))
    assert route.kind is RouteKind.SHADOW
    assert "override" in route.reason


@pytest.mark.parametrize("use", RESTRICTED)
@pytest.mark.parametrize(
    "named",
    [
        "PACS@pacs.hospital.example:105",
        "OTHER@pacs.hospital.example:104",
        "pacs.hospital.example",
        "*",
        FAR.lower(),
        FAR + " ",
    ],
)
def test_the_override_must_name_the_archive_exactly(use: BundleUse, named: str) -> None:
    assert decide(use, a_setup(FAR, "live", named)).kind is RouteKind.SHADOW


@pytest.mark.parametrize("use", RESTRICTED)
def test_the_exact_override_is_live_and_says_so(use: BundleUse) -> None:
    route = decide(use, a_setup(FAR, "live", FAR))
    assert (route.kind, route.overridden) == (RouteKind.LIVE, True)


def test_a_clinical_bundle_needs_no_override() -> None:
    route = decide(BundleUse.CLINICAL, a_setup(FAR, "live"))
    assert (route.kind, route.overridden) == (RouteKind.LIVE, False)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost", "LOCALHOST"])
def test_loopback_names(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["localhost.evil.example", "128.0.0.1", "10.0.0.1", "0.0.0.0", "127.0.0.1.example", ""]
)
def test_no_other_name_is_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("use", RESTRICTED)
def test_every_draft_of_a_restricted_bundle_says_so_on_top(use: BundleUse) -> None:
    assert any("NOT FOR CLINICAL USE" in line for line in banner(use))


def test_a_clinical_bundle_has_no_such_banner() -> None:
    assert banner(BundleUse.CLINICAL) == ()
