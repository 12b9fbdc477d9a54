//! What templates can call. Strict but for the lenient ones: a missing value is an error.

mod date;
mod gsm;
mod money;
mod partial;
mod signature;
mod text;
mod truncate;

use handlebars::template::{HelperTemplate, Parameter, TemplateElement};
use handlebars::{
    Context, Handlebars, Helper, HelperDef, RenderContext, RenderError, RenderErrorReason,
    ScopedJson, Template,
};
use serde_json::Value;

use super::language::Language;
use super::part::Kind;

pub(super) use signature::Signature;
pub use signature::reference;

/// Helpers that hold a block.
pub(super) const BLOCKS: [&str; 5] = ["if", "unless", "each", "with", "raw"];

/// Functions to which a missing value is falsy.
pub(super) const LENIENT: [&str; 4] = ["default", "and", "or", "not"];

/// Not to be written by users: what `{{> name}}` becomes.
pub(super) const PARTIAL: &str = "_partial";

/// Not to be written by users: what `{{url}}` becomes, a field that has the name of a helper.
const FIELD: &str = "_field";

/// Where the zone of recipients who have none stands in a context. No path of a template begins
/// with `@` but those of a block's own variables, so that none reads it.
pub const DEFAULT_ZONE: &str = "@time_zone";

type Call = fn(&Arguments<'_, '_>) -> Result<Value, String>;

struct Function {
    name: &'static str,
    call: Call,
    kind: Kind,
}

/// What a helper was given, and who reads its result.
struct Arguments<'a, 'rc> {
    helper: &'a Helper<'rc>,
    context: &'a Value,
    /// What it is written into.
    kind: Kind,
}

pub(super) fn register(engine: &mut Handlebars<'static>, kind: Kind) {
    let functions: [(&'static str, Call); 13] = [
        ("date", date::date),
        ("time", date::time),
        ("datetime", date::date_time),
        ("money", money::money),
        ("plural", text::plural),
        ("truncate", truncate::truncate),
        ("url", text::url),
        ("default", text::default),
        ("upper", text::upper),
        ("lower", text::lower),
        ("and", text::and),
        ("or", text::or),
        ("not", text::not),
    ];
    for (name, call) in functions {
        engine.register_helper(name, Box::new(Function { name, call, kind }));
    }
    engine.register_helper(FIELD, Box::new(Function { name: FIELD, call: text::field, kind }));
    engine.register_helper(PARTIAL, Box::new(partial::Partial));
    // It would write the data of users into the log.
    engine.unregister_helper("log");
}

/// An empty call of [`partial::Partial`], to be filled with the partial's name and parameters.
pub(super) fn partial_call() -> Option<Box<HelperTemplate>> {
    let call = Template::compile("{{#_partial}}{{/_partial}}").ok()?;
    call.elements.into_iter().find_map(|element| match element {
        TemplateElement::HelperBlock(call) => Some(call),
        _ => None,
    })
}

/// What reads the field `name`: the helper, and the field as its value.
pub(super) fn field_call(name: &str) -> Option<(Parameter, Parameter)> {
    let call = Template::compile(&format!("{{{{{FIELD} {name}}}}}")).ok()?;
    call.elements.into_iter().find_map(|element| match element {
        TemplateElement::Expression(mut call) => Some((call.name, call.params.pop()?)),
        _ => None,
    })
}

impl HelperDef for Function {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        context: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let arguments = Arguments { helper, context: context.data(), kind: self.kind };
        (self.call)(&arguments).map(ScopedJson::Derived).map_err(|message| match self.name {
            FIELD => RenderErrorReason::Other(message).into(),
            name => refuse(name, &message),
        })
    }
}

fn refuse(name: &str, message: &str) -> RenderError {
    RenderErrorReason::Other(format!("helper `{name}`: {message}")).into()
}

impl Arguments<'_, '_> {
    /// A value that must be there; `what` names it where it is not.
    fn value(&self, index: usize, what: &str) -> Result<&Value, String> {
        let parameter = self
            .helper
            .param(index)
            .ok_or_else(|| format!("needs {what} as value {}", index + 1))?;
        if parameter.is_value_missing() {
            return Err(match parameter.relative_path() {
                Some(path) => format!("missing field `{path}`"),
                None => format!("{what} is missing"),
            });
        }
        Ok(parameter.value())
    }

    /// A value that may be missing, which is null.
    fn lenient(&self, index: usize) -> &Value {
        self.helper.param(index).map_or(&Value::Null, |parameter| parameter.value())
    }

    fn text(&self, index: usize, what: &str) -> Result<&str, String> {
        self.value(index, what)?.as_str().ok_or_else(|| format!("{what} must be a text"))
    }

    /// A number, or a text that is one.
    fn number(&self, index: usize, what: &str) -> Result<f64, String> {
        let value = self.value(index, what)?;
        value
            .as_f64()
            .or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()))
            .filter(|number| number.is_finite())
            .ok_or_else(|| format!("{what} must be a number"))
    }

    fn count(&self) -> usize {
        self.helper.params().len()
    }

    fn option(&self, name: &str) -> Option<&Value> {
        self.helper.hash_get(name).map(|option| option.value())
    }

    /// An option, or the value at `index` in its stead.
    fn choice(&self, name: &str, index: usize) -> Option<&Value> {
        self.option(name).or_else(|| self.helper.param(index).map(|parameter| parameter.value()))
    }

    fn language(&self) -> Language {
        Language::of(self.recipient("locale").unwrap_or_default())
    }

    /// The recipient's zone, else the one that is configured.
    fn time_zone(&self) -> &str {
        let default = || self.context.get(DEFAULT_ZONE).and_then(Value::as_str);
        self.recipient("time_zone").or_else(default).unwrap_or("UTC")
    }

    fn recipient(&self, field: &str) -> Option<&str> {
        self.context.get("recipient")?.get(field)?.as_str()
    }
}
