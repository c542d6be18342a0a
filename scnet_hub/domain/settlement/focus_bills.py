"""Bills as FOCUS 1.2 (FinOps Open Cost and Usage Specification): one row for each meter of a charge and each payer of a
lot.

In the book of money the billing account is the project, in GRANT the grantor, who is billed the reimbursement; the
credits themselves are the pricing currency. The rows of a month add up to its statements, exactly. Facts that entries
don't contain (times, quantities, prices, names) come from the caller as `About`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from math import lcm

from ...units import CREDIT, MICRO
from ..ledger.entries import Entry
from ..ledger.splits import apportion
from ..months import Period
from .settlement import PAID, Share, Terms, landed, reimbursed, shares
from .statements import MONEY

VERSION = "1.2"
MANDATORY = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart",
    "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost",
    "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName",
    "ServiceCategory", "ServiceName",
)  # fmt: skip
OTHERS = (
    "BillingAccountType", "ChargeFrequency", "ConsumedQuantity", "ConsumedUnit", "ContractedUnitPrice", "InvoiceId",
    "ListUnitPrice", "PricingCurrency", "PricingCurrencyContractedUnitPrice", "PricingCurrencyEffectiveCost",
    "PricingCurrencyListUnitPrice", "RegionId", "RegionName", "ResourceId", "ResourceName", "ResourceType",
    "ServiceSubcategory", "SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId", "SubAccountId", "SubAccountName",
    "Tags",
)  # fmt: skip
OWN = (
    "x_Book", "x_CorrectedPeriod", "x_EntryId", "x_GrantorId", "x_HoldId", "x_LotId", "x_ReversedEntryId",
    "x_UsageRecordId",
)  # fmt: skip
COLUMNS = (*sorted((*MANDATORY, *OTHERS)), *OWN)
NUMBERS = frozenset({
    "BilledCost", "ConsumedQuantity", "ContractedCost", "ContractedUnitPrice", "EffectiveCost", "ListCost",
    "ListUnitPrice", "PricingQuantity", "PricingCurrencyContractedUnitPrice", "PricingCurrencyEffectiveCost",
    "PricingCurrencyListUnitPrice",
})  # fmt: skip
PLACES = 12  # decimals of a quantity or a unit price; costs have six
VIRTUAL = "Credits"
# by an entry's kind; any other is an Adjustment, or a Credit if a centre pays it
CATEGORIES = {"charge": "Usage", "reverse": "Usage"}

Row = dict[str, str | None]


@dataclass(frozen=True, slots=True)
class _Meter:
    priced: str  # the unit that prices are for
    consumed: str  # the unit that is counted
    per: int  # counted units in a priced one
    service: tuple[str, str, str] = ("Compute", "Other (Compute)", "Computing")


METERS = {
    "core-second": _Meter("Core-Hours", "Core-Seconds", 3600),
    "gpu-second": _Meter("GPU-Hours", "GPU-Seconds", 3600),
    "gib-second": _Meter("GiB-Hours", "GiB-Seconds", 3600),
    "gib-hour": _Meter("GiB-Hours", "GiB-Hours", 1, ("Storage", "Other (Storage)", "Storage")),
    "app-run": _Meter("Runs", "Runs", 1, ("Other", "Other (Other)", "Apps")),
    "seat-hour": _Meter("Seat-Hours", "Seat-Hours", 1, ("Compute", "End User Computing", "Class seats")),
    "minimum": _Meter("Units", "Units", 1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """The reading of one meter of a charge. Prices are micro-units of the book per priced unit (an hour for meters that
    count seconds): `price` as paid, `listed` before a sale."""

    meter: str
    quantity: int | Fraction
    price: int | Fraction
    listed: int | Fraction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """The facts of a bill that its entry does not contain: [start, end) of the use, the formula in words, its meters,
    the id of the centre (`region`), and the session's name by its owner (`resource`; "": no name)."""

    start: datetime
    end: datetime
    description: str = ""
    items: tuple[Item, ...] = ()
    partition: str = ""
    price_version: str = ""
    region: str = ""
    resource: str = ""
    usage_record: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Names of members, centres, projects and the federation, by id; without a name the id is used."""

    federation: str = "SCNet Hub"
    members: Mapping[str, str] = field(default_factory=dict)
    centres: Mapping[str, str] = field(default_factory=dict)
    projects: Mapping[str, str] = field(default_factory=dict)


def bills(
    entries: Iterable[Entry],
    period: Period,
    terms: Terms,
    about: Callable[[Entry], About],
    *,
    names: Names,
    unit: str = CREDIT,
) -> Iterator[Row]:
    """Yields the rows of a month in one book, as entries come; nothing is kept. Raises KeyError for a meter of an
    unknown kind."""
    for entry, corrects in landed(entries, period, terms, unit):
        every = shares(entry, terms)
        payers = [one for one in every if one.column == PAID]
        if payers:
            bill = _Bill(entry, corrects, period, terms, about(entry), names, every)
            credits = _sla_credits(every, payers)
            for one, credit in zip(payers, credits, strict=True):
                yield from bill.rows(one, credit)


def csv_lines(rows: Iterable[Row]) -> Iterator[str]:
    """Yields the bills as CSV, line by line. A column without a value is empty."""
    writer = csv.DictWriter(_Echo(), COLUMNS, lineterminator="\r\n")
    yield str(writer.writeheader())
    for row in rows:
        yield str(
            writer.writerow(
                {name: value if name in NUMBERS or value is None else inert(value) for name, value in row.items()}
            )
        )


def inert(text: str) -> str:
    """Makes text from people safe for spreadsheets: an apostrophe before the begin of a formula, and no control
    characters."""
    plain = text if text.isprintable() else "".join(one if one.isprintable() else " " for one in text)
    return f"'{plain}" if plain.lstrip()[:1] in ("=", "+", "-", "@", "＝", "＋", "－", "＠") else plain


class _Echo:
    """A file for csv.writer that returns each line to the caller."""

    def write(self, line: str) -> str:
        return line


def _sla_credits(every: list[Share], payers: list[Share]) -> list[int]:
    """Returns each payer's part of a centre's SLA credit in the entry: the payer pays so much less than was charged."""
    credit = -sum(one.micros for one in every if one.column == "sla_credit")
    charged = any(one.column in ("earned", "app_share", "fee") for one in every)
    weights = [abs(one.micros) for one in payers]
    return apportion(credit, weights) if credit and charged and any(weights) else [0] * len(payers)


@dataclass(frozen=True, slots=True)
class _Bill:
    """Makes the rows of one entry."""

    entry: Entry
    corrects: str
    period: Period
    terms: Terms
    about: About
    names: Names
    every: list[Share]

    def rows(self, one: Share, credit: int) -> Iterator[Row]:
        """Yields the charges of one payer, meter by meter, and separately the amounts that the centre gives back."""
        rate = self.terms.payer(one.account).rate
        paid = -one.micros
        money = paid if self.entry.unit == MONEY else sum(part for _, _, part in reimbursed(one, self.every, rate))
        gross = paid + credit
        gross_money = money + (credit if self.entry.unit == MONEY else _round(Fraction(credit * rate, MICRO)))
        category = CATEGORIES.get(self.entry.kind) or ("Credit" if self._of("sla_credit") else "Adjustment")
        items = (self.about.items or self._one_unit(gross)) if category == "Usage" else ()
        if items:
            yield from self._usage(one, items, gross, gross_money, rate)
        elif gross:
            yield self._row(one, category, gross, gross_money)
        if credit:
            yield self._row(one, "Credit", -credit, money - gross_money)

    def _usage(self, one: Share, items: tuple[Item, ...], cost: int, money: int, rate: int) -> Iterator[Row]:
        weights = _weights(items)
        charged = sum(share.micros for share in self.every if share.column in ("earned", "app_share", "fee"))
        part = Fraction(cost, abs(charged)) if charged else Fraction(1)
        to_money = Fraction(1) if self.entry.unit == MONEY else Fraction(rate, MICRO)
        for item, credits, billed in zip(items, apportion(cost, weights), apportion(money, weights), strict=True):
            meter = METERS[item.meter.partition(":")[0]]
            listed = item.price if item.listed is None else item.listed
            quantity = Fraction(item.quantity) * part
            priced = quantity / meter.per
            sku = "/".join(filter(None, (self._of("earned"), self.about.partition, item.meter)))
            row = self._row(one, "Usage", credits, billed, meter.service, publisher=self._maker(item))
            yield row | {
                "ListCost": _decimal(_round(priced * listed * to_money), 6)
                if listed != item.price
                else row["BilledCost"],
                "PricingQuantity": _number(priced),
                "PricingUnit": meter.priced,
                "ConsumedQuantity": _number(quantity),
                "ConsumedUnit": meter.consumed,
                "ListUnitPrice": _number(listed * to_money / MICRO),
                "ContractedUnitPrice": _number(item.price * to_money / MICRO),
                "PricingCurrencyListUnitPrice": _number(Fraction(listed) / MICRO),
                "PricingCurrencyContractedUnitPrice": _number(Fraction(item.price) / MICRO),
                "SkuId": sku,
                "SkuMeter": item.meter,
                "SkuPriceId": f"{sku}@{self.about.price_version}" if self.about.price_version else sku,
            }

    def _row(
        self,
        one: Share,
        category: str,
        cost: int,
        money: int,
        service: tuple[str, str, str] = METERS["minimum"].service,
        publisher: str = "",
    ) -> Row:
        entry, unit, billed = self.entry, self.entry.unit, _decimal(money, 6)
        account = entry.project if unit == MONEY else one.member
        called = self.names.projects if unit == MONEY else self.names.members
        row: Row = dict.fromkeys(COLUMNS)
        return row | {
            "BilledCost": billed,
            "ListCost": billed,
            "ContractedCost": billed,
            "EffectiveCost": billed,
            "BillingAccountId": account,
            "BillingAccountName": called.get(account, account),
            "BillingAccountType": "Project" if unit == MONEY else "Grantor",
            "BillingCurrency": MONEY,
            "BillingPeriodStart": _instant(self.period.start),
            "BillingPeriodEnd": _instant(self.period.end),
            "ChargeCategory": category,
            "ChargeClass": "Correction" if self.corrects else None,
            "ChargeDescription": self.about.description or entry.memo or entry.kind,
            "ChargeFrequency": "Usage-Based" if category == "Usage" else "One-Time",
            "ChargePeriodStart": _instant(self.about.start),
            "ChargePeriodEnd": _instant(self.about.end),
            "InvoiceId": f"{self.period.name}/{unit}/{account}",
            "InvoiceIssuerName": self.names.federation,
            "PricingCurrency": MONEY if unit == MONEY else VIRTUAL,
            "PricingCurrencyEffectiveCost": _decimal(cost, 6),
            "ProviderName": self.names.federation,
            "PublisherName": self.names.members.get(maker := publisher or self._maker(None), maker),
            "RegionId": self.about.region or None,
            "RegionName": self.names.centres.get(self.about.region, self.about.region) or None,
            "ResourceId": entry.session or None,
            "ResourceName": self.about.resource if entry.session and self.about.resource else None,
            "ResourceType": "Session" if entry.session else None,
            "ServiceCategory": service[0],
            "ServiceSubcategory": service[1],
            "ServiceName": service[2],
            "SubAccountId": entry.project or None,
            "SubAccountName": self.names.projects.get(entry.project, entry.project) or None,
            "Tags": json.dumps(dict(sorted(self.about.tags.items())), ensure_ascii=False) if self.about.tags else None,
            "x_Book": unit,
            "x_CorrectedPeriod": self.corrects or None,
            "x_EntryId": entry.key,
            "x_GrantorId": None if unit == MONEY else one.member,
            "x_HoldId": entry.session or None,
            "x_LotId": one.account.partition(":")[2],
            "x_ReversedEntryId": entry.reverses or None,
            "x_UsageRecordId": self.about.usage_record or None,
        }

    def _of(self, column: str) -> str:
        return next((one.member for one in self.every if one.column == column), "")

    def _maker(self, item: Item | None) -> str:
        """Returns who provides the service: the centre, or an app's publisher."""
        publisher = self._of("app_share") if item and item.meter == "app-run" else ""
        return publisher or self._of("earned") or self._of("sla_credit") or self.names.federation

    def _one_unit(self, cost: int) -> tuple[Item, ...]:
        """Returns one unit at the full cost, for a charge of which nothing more is known."""
        charged = sum(one.micros for one in self.every if one.column in ("earned", "app_share", "fee"))
        return (Item(meter="minimum", quantity=1, price=abs(charged or cost)),)


def _weights(items: tuple[Item, ...]) -> list[int]:
    """Returns the items' costs as whole numbers in the same proportion; equal weights if all are free."""
    costs = [Fraction(item.quantity) * item.price / METERS[item.meter.partition(":")[0]].per for item in items]
    common = lcm(*(cost.denominator for cost in costs))
    return [int(cost * common) for cost in costs] if any(costs) else [1] * len(items)


def _round(value: Fraction) -> int:
    """Rounds half away from zero, so that repayments mirror payments."""
    size = (abs(value) + Fraction(1, 2)) // 1
    return int(size if value >= 0 else -size)


def _number(value: Fraction) -> str:
    return _decimal(_round(value * 10**PLACES), PLACES)


def _decimal(scaled: int, places: int) -> str:
    """Writes an exact decimal without exponent or plus sign, with at least one decimal: "-1.5", "3.0". CSV readers
    guess a column's type from its values, and FOCUS asks for decimals, so that whole numbers must not look like
    integers."""
    whole, part = divmod(abs(scaled), 10**places)
    digits = f"{part:0{places}}".rstrip("0")
    return f"{'-' if scaled < 0 else ''}{whole}.{digits or '0'}"


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
