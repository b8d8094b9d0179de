"""Every setting with its type, its default and one sentence. Nothing is read and nothing is computed here.

The words are those of the contract; what it names and this version does not carry out stands under `LATER` and is
refused. The table in `docs/configuration.md` comes from these classes.
"""

# ruff: noqa: RUF009 - `setting` makes a field, as `dataclasses.field` does

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

from gateway.settings import addresses, names, rules
from gateway.settings.alert_rules import AlertRuleSettings, alert_rule
from gateway.settings.budgets import BudgetSettings, HoldSettings, limit_usd, own_budget
from gateway.settings.limits import IN_FLIGHT, RPM, TPM, LimitSettings
from gateway.settings.report_schedule import ReportSettings
from gateway.settings.schema import Default, Section, listing, mapping, named, section, setting
from gateway.settings.secret_refs import SecretRef


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings(Section):
    """The certificate that the server shows; without this section it speaks plain HTTP."""

    cert: Path = setting(rules.path, "The certificate chain, PEM.", Default.REQUIRED)
    key: Path = setting(rules.path, "The certificate's private key, PEM, without a password.", Default.REQUIRED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings(Section):
    """Where the gateway listens and what it lets in."""

    LATER: ClassVar[Mapping[str, str]] = {"trusted_proxies": "trusted_proxies are"}

    host: str = setting(addresses.host, "The address to listen on.", "127.0.0.1")
    port: int = setting(rules.integer(0, 65535), "The port of both planes; 0 takes a free one.", "4000")
    keys: str | None = setting(
        rules.choice("optional", "required"),
        "Whether a call needs a key of ours; `optional` lets keyless calls in from this machine only.",
        shown="`optional` on loopback as long as no key exists, else `required`",
    )
    data: Path = setting(
        rules.path,
        "The folder of everything that Tollkeeper keeps.",
        Default.FILLED_IN,
        shown="`tollkeeper` in the platform's folder for user data",
    )
    public_url: str | None = setting(
        addresses.public_url,
        "Where people reach the gateway; links in messages begin with it.",
        shown="where it listens",
    )
    tls: TlsSettings | None = setting(section(TlsSettings), "Serve HTTPS with this certificate.")
    buffer_answers: int = setting(
        rules.size("0B", "1GiB"),
        "Whole answers up to this size are held until their cost is known, so that their headers can carry it.",
        "8MiB",
    )
    max_body: int = setting(rules.size("1KiB", "4GiB"), "The largest request body, unpacked.", "64MiB")
    metrics: str = setting(
        rules.choice("token", "open"), "Who may read `/metrics` from elsewhere: who has the admin token, or anyone.",
        "token",
    )  # fmt: skip
    allowed_origins: tuple[str, ...] = setting(
        listing(addresses.web_origin, "list of origins"), "Web pages that may call the gateway from a browser.", "[]"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings(Section):
    """Where calls are kept, and the journal that takes them first."""

    url: str = setting(
        addresses.database,
        "The database.",
        Default.FILLED_IN,
        shown="`tollkeeper.db` in `server.data`",
        secret=True,
    )
    journal: Path = setting(
        rules.path,
        "The folder of the journal, on a local disk.",
        Default.FILLED_IN,
        shown="`journal` in `server.data`",
    )
    journal_sync: str = setting(
        rules.choice("interval", "every_call"),
        "When the journal is forced to disk: every 100 ms, or before the last byte of each answer.",
        "interval",
    )
    journal_max: int = setting(
        rules.size("16MiB", "1TiB"), "The journal's bound; there new calls are refused and nothing is dropped.", "1GiB"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulateSettings(Section):
    """How a simulated provider behaves; the same seed gives the same answers."""

    ttft: float = setting(rules.duration("0ms", "10m"), "Median time to the first token.", "250ms")
    itl: float = setting(rules.duration("0ms", "1m"), "Median time between two tokens.", "12ms")
    jitter: float = setting(
        rules.share("2"), "How far times and lengths scatter around their medians (log-normal sigma).", "0.4"
    )
    output_tokens: int = setting(rules.integer(1, 4096), "Median length of an answer, in tokens.", "120")
    errors: float = setting(rules.share("1"), "The share of calls that fail.", "0")
    seed: int = setting(rules.integer(0, 2**31 - 1), "What the random draws start from.", "0")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings(Section):
    """An upstream account or server."""

    kind: str = setting(
        names.kind,
        "What it is: " + ", ".join(f"`{kind}`" for kind in names.KINDS) + ".",
        Default.FILLED_IN,
        shown="the provider's name if that is a kind, else `openai`",
    )
    base_url: str | None = setting(
        addresses.base_url,
        "Where it is, as its own SDK takes it; a trailing `/v1` may be left out.",
        shown="the kind's own address",
    )
    api_key: SecretRef | None = setting(
        rules.secret, "Its key; without one, the key that a keyless client sends is passed on."
    )
    simulate: SimulateSettings | None = setting(
        section(SimulateSettings), "For the kind `simulated` only: how it behaves."
    )
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings(Section):
    """A model name of ours."""

    targets: tuple[str, ...] = setting(
        names.targets, "The targets that answer to it, `PROVIDER/MODEL` each, in the order of preference.",
        Default.REQUIRED,
    )  # fmt: skip
    strategy: str = setting(
        rules.choice(
            "ordered",
            later={word: f"strategy {word} is" for word in ("weighted", "cheapest", "fastest", "least_busy")},
        ),
        "The first target that answers before its first byte is taken.",
        "ordered",
    )
    default_max_output_tokens: int | None = setting(
        rules.integer(1, 10_000_000),
        "The limit of an answer that is sent for a call that states none.",
        shown="the model's own",
    )
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySettings(Section):
    """How often and how long one call may try."""

    LATER: ClassVar[Mapping[str, str]] = {"cooldown": "cooldown is"}

    attempts: int = setting(rules.integer(1, 10), "The most attempts of one call, the first included.", "3")
    timeout: float = setting(rules.duration("10ms", "1d"), "For one attempt, from its start to its last byte.", "600s")
    connect_timeout: float = setting(rules.duration("10ms", "10m"), "For a connection to be made.", "5s")
    first_byte_timeout: float = setting(
        rules.duration("10ms", "1d"), "For the first byte of an answer; holds for streams only.", "300s"
    )
    idle_timeout: float = setting(rules.duration("10ms", "1d"), "Between two reads of an answer.", "300s")
    uncertain: str = setting(
        rules.choice("fail", "retry"),
        "What follows an attempt that broke after it was sent, and that may have been billed.",
        "fail",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceSettings(Section):
    """The price of a target, in exactly one of four forms."""

    usd_per_million: Mapping[str, Decimal] | None = setting(
        mapping(rules.money("1000000000"), "BUCKET", names.bucket),
        "USD per million units by bucket of usage: " + ", ".join(f"`{bucket}`" for bucket in names.BUCKETS) + ".",
    )
    usd_per_call: Decimal | None = setting(rules.money("1000000"), "USD for each call, whatever its length.")
    free: bool | None = setting(rules.only_true, "It costs nothing.")
    like: str | None = setting(names.lender, "The book's prices of this kind of provider for the same model.")
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PricesSettings(Section):
    """Prices of the file; they go before the price book."""

    on_unknown: str = setting(
        rules.choice("record", "refuse"),
        "A call without a known price: let it through with its cost unknown, or refuse it.",
        "record",
    )
    targets: Mapping[str, PriceSettings] = setting(
        named(PriceSettings, "TARGET", names.priced_target),
        "The price of `PROVIDER/MODEL`, or of all others of a provider, `PROVIDER/*`.",
        "{}",
        takes_others=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetsSettings(Section):
    """Limits in USD."""

    max_subjects: int = setting(
        rules.integer(1, 10_000_000),
        "How many values a budget counts apart in a window, and a limit in a minute; the rest share one account.",
        "100000",
    )
    named: Mapping[str, BudgetSettings] = setting(
        named(BudgetSettings, "NAME", names.name("a budget's name")),
        "What may be spent, by whom and in which window.",
        "{}",
        takes_others=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySettings(Section):
    """A key for callers that the file declares."""

    secret: SecretRef = setting(rules.secret, "Where its secret is kept.", Default.REQUIRED)
    team: str | None = setting(rules.line_of_text, "The team that its calls are counted for.")
    models: tuple[str, ...] | None = setting(names.allowed_models, "The model names it may ask for.", shown="all")
    labels: Mapping[str, str] = setting(
        mapping(rules.line_of_text, "NAME", names.label), "Labels that every call of it carries.", "{}"
    )
    required_labels: tuple[str, ...] = setting(
        listing(rules.scalar("label", names.label), "list of labels"),
        "Labels that each call of it has to carry; `session` and `end_user` can be among them.",
        "[]",
    )
    expires_at: datetime | None = setting(rules.moment, "When it ends.", shown="never")
    max_cost_usd: Decimal | None = setting(limit_usd, "The most that one call of it may cost.", shown="no limit")
    budget: tuple[Decimal, str] | None = setting(
        rules.scalar("decimal in USD, `/` and a window", own_budget),
        "What its calls may cost, `5.00/month`: a hard budget `key:NAME`, in UTC.",
        shown="no limit",
    )
    rpm: int | None = setting(RPM, "Its requests a minute.", shown="no limit")
    tpm: int | None = setting(TPM, "Its tokens a minute, of prompts and answers together.", shown="no limit")
    in_flight: int | None = setting(IN_FLIGHT, "Its calls at the same time.", shown="no limit")
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSettings(Section):
    """Where alerts are told: a webhook, or a service that people read."""

    webhook: str | None = setting(addresses.webhook, "Where events are posted, signed as Standard Webhooks says.")
    secret: SecretRef | None = setting(
        rules.secret, "What a webhook is signed with: `whsec_` and base64, or any text; a webhook needs one."
    )
    apprise: SecretRef | None = setting(
        rules.secret, "Where the address of a service is kept, as the library apprise writes it."
    )
    allow_private: bool = setting(
        rules.flag, "Let it lead to this machine, a private network or a cloud's metadata.", "false"
    )
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSettings(Section):
    """What to watch for, and who is told."""

    channels: Mapping[str, ChannelSettings] = setting(
        named(ChannelSettings, "NAME", names.name("a channel's name")), "Where alerts are told.", "{}"
    )
    rules: Mapping[str, AlertRuleSettings] = setting(
        replace(mapping(alert_rule, "NAME", names.name("a rule's name")), section=AlertRuleSettings),
        "What to watch for.",
        "{}",
    )
    reports: Mapping[str, ReportSettings] = setting(
        named(ReportSettings, "NAME", names.name("a report's name")), "What is summed up, and when.", "{}"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggingSettings(Section):
    """What is logged."""

    format: str = setting(rules.choice("json", "console"), "One JSON object for each line, or text to read.", "json")
    prompts: str = setting(
        rules.choice("off", later=dict.fromkeys(("on", "all", "errors", "true"), "storing prompts is")),
        "Prompts and answers are never stored.",
        "off",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(Section):
    """Everything that was set, and the default of everything else."""

    LATER: ClassVar[Mapping[str, str]] = {
        "cache": "the cache is",
    }

    server: ServerSettings = setting(section(ServerSettings), "Where it listens.", Default.FILLED_IN)
    database: DatabaseSettings = setting(section(DatabaseSettings), "Where calls are kept.", Default.FILLED_IN)
    providers: Mapping[str, ProviderSettings] = setting(
        named(ProviderSettings, "NAME", names.name("a provider's name")),
        "Upstream accounts and servers.",
        "{}",
        shown="the providers whose usual environment variables are set",
    )
    models: Mapping[str, ModelSettings] = setting(
        named(ModelSettings, "NAME", names.alias), "Model names of ours; a target's own name works without one.", "{}"
    )
    retries: RetrySettings = setting(section(RetrySettings), "How often and how long one call may try.", "{}")
    prices: PricesSettings = setting(section(PricesSettings), "Prices that go before the book.", "{}")
    keys: Mapping[str, KeySettings] = setting(
        named(KeySettings, "NAME", names.name("a key's name")), "Keys for callers.", "{}"
    )
    budgets: BudgetsSettings = setting(section(BudgetsSettings), "Limits in USD.", "{}")
    limits: Mapping[str, LimitSettings] = setting(
        named(LimitSettings, "NAME", names.name("a limit's name")), "How fast calls may come.", "{}"
    )
    holds: HoldSettings = setting(section(HoldSettings), "How money is set aside for a call.", "{}")
    alerts: AlertSettings = setting(section(AlertSettings), "Who is told of alerts.", "{}")
    logging: LoggingSettings = setting(section(LoggingSettings), "What is logged.", "{}")

    source: str = "no settings file"
    """The file as it was named."""
    file: Path | None = None
    """The file that was read, absolute."""
    file_digest: str | None = None
    """SHA-256 of that file, hexadecimal."""
    notes: tuple[str, ...] = ()
    """What was seen in the environment and is not used, one sentence each."""
