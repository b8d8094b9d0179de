"""Every setting with type, default and one sentence; read once at start and handed down.

`load` is the one way in. The model is in `model`, one value's rule in `rules`, `names` and `addresses`, YAML in
`source`, variables in `environment`. Must not know what the rest of the gateway does with a setting.
"""

from gateway.settings.budgets import BudgetSettings, HoldSettings
from gateway.settings.defaults import default_data_folder
from gateway.settings.documentation import SettingDoc, describe, later, table
from gateway.settings.environment import Found, providers_from_environment
from gateway.settings.limits import LimitSettings
from gateway.settings.loading import load
from gateway.settings.model import (
    AlertSettings,
    ChannelSettings,
    DatabaseSettings,
    KeySettings,
    LoggingSettings,
    ModelSettings,
    PriceSettings,
    PricesSettings,
    ProviderSettings,
    RetrySettings,
    ServerSettings,
    Settings,
    SimulateSettings,
    TlsSettings,
)
from gateway.settings.names import BUCKETS, KINDS
from gateway.settings.problems import Problem, SettingsError
from gateway.settings.public import public_address
from gateway.settings.report_schedule import ReportSettings
from gateway.settings.secret_refs import SecretRef

__all__ = [
    "BUCKETS",
    "KINDS",
    "AlertSettings",
    "BudgetSettings",
    "ChannelSettings",
    "DatabaseSettings",
    "Found",
    "HoldSettings",
    "KeySettings",
    "LimitSettings",
    "LoggingSettings",
    "ModelSettings",
    "PriceSettings",
    "PricesSettings",
    "Problem",
    "ProviderSettings",
    "ReportSettings",
    "RetrySettings",
    "SecretRef",
    "ServerSettings",
    "SettingDoc",
    "Settings",
    "SettingsError",
    "SimulateSettings",
    "TlsSettings",
    "default_data_folder",
    "describe",
    "later",
    "load",
    "providers_from_environment",
    "public_address",
    "table",
]
