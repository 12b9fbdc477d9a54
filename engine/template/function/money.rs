//! Amounts of money.

use serde_json::Value;

use super::Arguments;

/// Beyond this an amount in a double would lose its cents.
const MAX_AMOUNT: f64 = 1e13;

/// `{{money amount "EUR"}}`: `€1,234.50`, in French `1 234,50 €`. The amount is in whole units
/// of the currency (euros, not cents).
pub(super) fn money(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let amount = arguments.number(0, "an amount")?;
    let code = arguments.text(1, "a currency")?;
    if code.len() != 3 || !code.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err("the currency must be an ISO 4217 code (`EUR`)".to_owned());
    }
    if amount.abs() > MAX_AMOUNT {
        return Err("the amount is too large".to_owned());
    }
    let digits = format!("{:.*}", decimals(code), amount.abs());
    let negative = amount < 0.0 && digits.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    Ok(arguments.language().money(&digits, negative, code, symbol(code)).into())
}

/// ISO 4217's minor units where they are not two.
fn decimals(code: &str) -> usize {
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
