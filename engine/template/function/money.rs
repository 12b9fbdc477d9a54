//! Amounts of money.

use serde_json::Value;

use super::Arguments;
use super::signature::is_currency;

/// Beyond this an amount in a double would lose its cents.
const MAX_AMOUNT: f64 = 1e13;

/// `{{money amount "EUR"}}`: `€1,234.50`, in French `1 234,50 €`. The amount is in whole units
/// of the currency (euros, not cents) but for `minor=true`.
pub(super) fn money(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let code = arguments.text(1, "a currency")?;
    if !is_currency(code) {
        return Err("the currency must be an ISO 4217 code (`EUR`)".to_owned());
    }
    let minor = arguments.option("minor").and_then(Value::as_bool).unwrap_or_default();
    let unit = if minor { 10_f64.powi(i32::from(decimals(code))) } else { 1.0 };
    let amount = arguments.number(0, "an amount")? / unit;
    if amount.abs() > MAX_AMOUNT {
        return Err("the amount is too large".to_owned());
    }
    let digits = format!("{:.*}", usize::from(decimals(code)), amount.abs());
    let negative = amount < 0.0 && digits.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    Ok(arguments.language().money(&digits, negative, code, symbol(code)).into())
}

/// ISO 4217's minor units where they are not two.
fn decimals(code: &str) -> u8 {
    match code {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX"
        | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        _ => 2,
    }
}

fn symbol(code: &str) -> Option<&'static str> {
    match code {
        "EUR" => Some("€"),
        "GBP" => Some("£"),
        "JPY" => Some("¥"),
        "USD" => Some("$"),
        _ => None,
    }
}
