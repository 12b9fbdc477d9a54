use cel::ExecutionError;

/// What went wrong, in our words and without the values it went wrong with: those are users'
/// data, and the sentence goes into records.
pub(super) fn explain(error: ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => {
            format!("there is no field `{key}`; ask `has(…)` where it may be missing")
        }
        ExecutionError::NoSuchOverload(overload) => {
            let types = overload.argument_types().join(", ");
            format!("`{}` does not take ({types})", operator(overload.function()))
        }
        ExecutionError::UndeclaredReference(name) => format!("`{name}` is not there"),
        ExecutionError::UnexpectedType { got, want } => format!("{want} is expected, not {got}"),
        ExecutionError::IndexOutOfBounds(_) => "the list is shorter than that".to_owned(),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "division by zero".to_owned()
        }
        ExecutionError::Overflow(..) => "the number is out of range".to_owned(),
        ExecutionError::UnsupportedBinaryOperator(operator, left, right) => {
            format!("`{operator}` does not take ({}, {})", left.type_of(), right.type_of())
        }
        ExecutionError::FunctionError { function, message } if function == "list" => message,
        ExecutionError::FunctionError { function, .. } => {
            format!("`{function}` cannot read its argument")
        }
        ExecutionError::InvalidArgumentCount { expected, actual } => {
            format!("{expected} arguments are expected, not {actual}")
        }
        ExecutionError::DuplicateKey(_) => "a key stands twice in a map".to_owned(),
        _ => "the operation is not supported for these values".to_owned(),
    }
}

/// `_==_` as its author wrote it.
fn operator(name: &str) -> &str {
    let trimmed = name.trim_matches(['_', '@']);
    if trimmed.is_empty() { name } else { trimmed }
}
