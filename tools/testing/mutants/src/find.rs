// SPDX-License-Identifier: GPL-2.0

//! Finds the changes that make sense in a file.

use crate::change::{Change, Edit};
use std::{ops::Range, path::Path};
use syn::{
    Attribute, BinOp, Expr, Pat, Stmt, UnOp,
    punctuated::Punctuated,
    spanned::Spanned,
    visit::{self, Visit},
};

/// All changes of `text`, the contents of the file at `path`.
pub fn find(path: &str, text: &str) -> syn::Result<Vec<Change>> {
    let parsed = syn::parse_file(text)?;
    let mut finder = Finder {
        file: Path::new(path)
            .file_name()
            .map_or_else(|| path.to_owned(), |name| name.to_string_lossy().into()),
        text,
        names: Vec::new(),
        changes: Vec::new(),
    };

    finder.visit_file(&parsed);
    Ok(finder.changes)
}

/// A statement whose removal leaves a fault that needs weakly ordered memory to show.
const BARRIERS: [&str; 3] = ["smp_mb", "smp_rmb", "smp_wmb"];

/// Macros that the compiler evaluates, and those that only check or print.
const SKIPPED_MACROS: [&str; 9] = [
    "cfg",
    "assert",
    "assert_eq",
    "build_assert",
    "const_assert",
    "offset_of",
    "static_assert",
    "pr_info",
    "pr_warn",
];

/// Errors that a caller tells apart.
const ERRORS: [&str; 11] = [
    "E2BIG",
    "EBUSY",
    "EFAULT",
    "EINVAL",
    "EIO",
    "ENODEV",
    "ENOMEM",
    "EOVERFLOW",
    "EPERM",
    "ERANGE",
    "ESTALE",
];

const METHODS: [(&str, &str); 14] = [
    ("min", "max"),
    ("max", "min"),
    ("checked_add", "checked_sub"),
    ("checked_sub", "checked_add"),
    ("checked_shl", "checked_shr"),
    ("checked_shr", "checked_shl"),
    ("wrapping_add", "wrapping_sub"),
    ("wrapping_sub", "wrapping_add"),
    ("saturating_add", "saturating_sub"),
    ("saturating_sub", "saturating_add"),
    ("is_some", "is_none"),
    ("is_none", "is_some"),
    ("is_ok", "is_err"),
    ("is_err", "is_ok"),
];

const INTEGERS: [&str; 10] = [
    "usize", "isize", "u64", "i64", "u32", "i32", "u16", "i16", "u8", "i8",
];

struct Finder<'a> {
    file: String,
    text: &'a str,
    /// The type and the function that the place is in.
    names: Vec<String>,
    changes: Vec<Change>,
}

impl Finder<'_> {
    fn source(&self, range: Range<usize>) -> &str {
        self.text.get(range).unwrap_or_default()
    }

    /// Adds a change of `range` to `by`, which is shown with the text of `context` around it.
    fn add(&mut self, kind: &'static str, context: Range<usize>, range: Range<usize>, by: &str) {
        let before = self.source(context.clone());
        let mut after = before.to_owned();
        after.replace_range(range.start - context.start..range.end - context.start, by);

        let after = one_line(&after);
        let after = if after.is_empty() { "nothing" } else { &after };
        let shown = format!("{} -> {after}", one_line(before));

        self.add_shown(kind, shown, range, by);
    }

    fn add_shown(&mut self, kind: &'static str, text: String, range: Range<usize>, by: &str) {
        let function = self.names.join("::");
        let nth = self
            .changes
            .iter()
            .filter(|c| c.function == function && c.kind == kind && c.text == text)
            .count();

        self.changes.push(Change {
            file: self.file.clone(),
            line: self.source(0..range.start).matches('\n').count() + 1,
            function,
            kind,
            text,
            nth,
            edit: Edit {
                range,
                by: by.to_owned(),
            },
        });
    }

    fn within(&mut self, name: String, visit: impl FnOnce(&mut Self)) {
        self.names.push(name);
        visit(self);
        self.names.pop();
    }

    fn function(&mut self, sig: &syn::Signature, block: &syn::Block) {
        self.within(sig.ident.to_string(), |this| {
            let body = block.span().byte_range();
            let returned = match &sig.output {
                syn::ReturnType::Default => String::new(),
                syn::ReturnType::Type(_, ty) => one_line(this.source(ty.span().byte_range())),
            };

            if !block.stmts.is_empty() {
                for value in values(&returned) {
                    // The only statement goes by itself, too.
                    if value.is_empty() && matches!(block.stmts[..], [Stmt::Expr(_, Some(_))]) {
                        continue;
                    }
                    let by = format!("{{ {value} }}");

                    this.add_shown("body", format!("body -> {by}"), body.clone(), &by);
                }
            }
            this.visit_block(block);
        });
    }

    fn negate(&mut self, condition: &Expr) {
        if !is_negated_by_part(condition) && !has_let(condition) {
            let range = condition.span().byte_range();
            let by = format!("!({})", self.source(range.clone()));

            self.add("condition", range.clone(), range, &by);
        }
    }
}

/// What a function that returns a `ty` could return instead.
fn values(ty: &str) -> Vec<String> {
    let ty = ty.replace(' ', "");
    let inner = ty
        .strip_prefix("Result<")
        .and_then(|rest| rest.split([',', '>']).next());

    match (ty.as_str(), inner) {
        ("", _) => vec![String::new()],
        ("Result", _) | (_, Some("()")) => vec!["Ok(())".to_owned()],
        ("bool", _) => vec!["true".to_owned(), "false".to_owned()],
        (_, Some(inner)) if inner == "bool" || INTEGERS.contains(&inner) => values(inner)
            .iter()
            .map(|value| format!("Ok({value})"))
            .collect(),
        (option, _) if option.starts_with("Option<") => vec!["None".to_owned()],
        (integer, _) if INTEGERS.contains(&integer) => vec!["0".to_owned(), "1".to_owned()],
        _ => Vec::new(),
    }
}

fn one_line(text: &str) -> String {
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .flat_map(str::split_whitespace)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Whether a change of the outermost operator, or method, negates the condition already.
fn is_negated_by_part(condition: &Expr) -> bool {
    match condition {
        Expr::Unary(unary) => matches!(unary.op, UnOp::Not(_)),
        Expr::Binary(both) => matches!(both.op, BinOp::Eq(_) | BinOp::Ne(_)),
        Expr::MethodCall(call) => ["is_some", "is_none", "is_ok", "is_err"]
            .iter()
            .any(|method| call.method == method),
        _ => false,
    }
}

fn has_let(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(both) => has_let(&both.left) || has_let(&both.right),
        _ => false,
    }
}

/// Whether an item is of tests, or of another configuration than a full one.
fn skipped(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let path = attribute.path();
        let Ok(list) = attribute.meta.require_list() else {
            return path.is_ident("test");
        };
        let tokens = list.tokens.to_string();

        path.is_ident("kunit_tests")
            || (path.is_ident("cfg") && (tokens == "test" || tokens.starts_with("not")))
            || (path.is_ident("cfg_attr") && tokens.contains("kunit_tests"))
    })
}

fn is_macro(expr: &Expr, name: &str) -> bool {
    matches!(expr, Expr::Macro(expr) if expr.mac.path.is_ident(name))
}

fn called(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Call(call) => match &*call.func {
            Expr::Path(path) => path.path.segments.last().map(|s| s.ident.to_string()),
            _ => None,
        },
        _ => None,
    }
}

fn other_operators(op: &BinOp) -> &'static [&'static str] {
    match op {
        BinOp::Eq(_) => &["!="],
        BinOp::Ne(_) => &["=="],
        BinOp::Lt(_) => &["<=", ">"],
        BinOp::Le(_) => &["<", ">"],
        BinOp::Gt(_) => &[">=", "<"],
        BinOp::Ge(_) => &[">", "<"],
        BinOp::Add(_) => &["-"],
        BinOp::Sub(_) => &["+"],
        BinOp::Mul(_) => &["+"],
        BinOp::Div(_) => &["*"],
        BinOp::Rem(_) => &["/"],
        BinOp::And(_) => &["||"],
        BinOp::Or(_) => &["&&"],
        BinOp::BitAnd(_) => &["|"],
        BinOp::BitOr(_) => &["&"],
        BinOp::Shl(_) => &[">>"],
        BinOp::Shr(_) => &["<<"],
        BinOp::AddAssign(_) => &["-="],
        BinOp::SubAssign(_) => &["+="],
        BinOp::BitOrAssign(_) => &["&="],
        BinOp::BitAndAssign(_) => &["|="],
        _ => &[],
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !skipped(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !skipped(&item.attrs) {
            self.function(&item.sig, &item.block);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !skipped(&item.attrs) {
            self.function(&item.sig, &item.block);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if skipped(&item.attrs) {
            return;
        }
        let name = match &*item.self_ty {
            syn::Type::Path(ty) => ty.path.segments.last().map(|s| s.ident.to_string()),
            _ => None,
        };
        self.within(name.unwrap_or_else(|| "impl".to_owned()), |this| {
            for item in &item.items {
                this.visit_impl_item(item);
            }
        });
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        // One without a name is there for what it asserts.
        if item.ident != "_" && !skipped(&item.attrs) {
            self.within(item.ident.to_string(), |this| this.visit_expr(&item.expr));
        }
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.within(item.ident.to_string(), |this| this.visit_expr(&item.expr));
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.within(item.ident.to_string(), |this| this.visit_expr(&item.expr));
    }

    // There is nothing to change in these.
    fn visit_attribute(&mut self, _: &'ast Attribute) {}
    fn visit_item_macro(&mut self, _: &'ast syn::ItemMacro) {}
    fn visit_pat(&mut self, _: &'ast Pat) {}
    fn visit_type(&mut self, _: &'ast syn::Type) {}

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        let name = mac.path.segments.last().map(|s| s.ident.to_string());

        if name.is_some_and(|name| SKIPPED_MACROS.contains(&name.as_str())) {
            return;
        }
        if let Ok(args) = mac.parse_body_with(Punctuated::<Expr, syn::Token![,]>::parse_terminated)
        {
            for expr in &args {
                self.visit_expr(expr);
            }
        }
    }

    fn visit_stmt(&mut self, stmt: &'ast Stmt) {
        let range = stmt.span().byte_range();
        let kind = match stmt {
            Stmt::Expr(expr, Some(_)) => match called(expr) {
                Some(name) if BARRIERS.contains(&name.as_str()) => "barrier",
                _ => "statement",
            },
            Stmt::Macro(stmt) if stmt.semi_token.is_some() => "statement",
            // A guard, or a value that nobody wants.
            Stmt::Local(local) => match &local.pat {
                Pat::Wild(_) => "statement",
                Pat::Ident(name) if name.ident.to_string().starts_with('_') => "statement",
                _ => "",
            },
            _ => "",
        };

        if !kind.is_empty() {
            self.add(kind, range.clone(), range, "");
        }
        visit::visit_stmt(self, stmt);
    }

    fn visit_expr_binary(&mut self, expr: &'ast syn::ExprBinary) {
        let context = expr.span().byte_range();

        for by in other_operators(&expr.op) {
            self.add("operator", context.clone(), expr.op.span().byte_range(), by);
        }
        visit::visit_expr_binary(self, expr);
    }

    fn visit_expr_unary(&mut self, expr: &'ast syn::ExprUnary) {
        if !matches!(expr.op, UnOp::Deref(_)) {
            self.add(
                "operator",
                expr.span().byte_range(),
                expr.op.span().byte_range(),
                "",
            );
        }
        visit::visit_expr_unary(self, expr);
    }

    fn visit_expr_if(&mut self, expr: &'ast syn::ExprIf) {
        if is_macro(&expr.cond, "cfg") {
            // This machine has only one of the branches.
            self.visit_block(&expr.then_branch);
            return;
        }
        self.negate(&expr.cond);
        visit::visit_expr_if(self, expr);
    }

    fn visit_expr_match(&mut self, expr: &'ast syn::ExprMatch) {
        let rest = expr
            .arms
            .iter()
            .position(|arm| matches!(arm.pat, Pat::Wild(_)) && arm.guard.is_none());

        for (index, arm) in expr.arms.iter().enumerate() {
            if rest.is_some_and(|rest| index < rest) {
                let range = arm.span().byte_range();

                self.add("arm", range.clone(), range, "");
            }
            if let Some((_, guard)) = &arm.guard {
                self.negate(guard);
            }
        }
        visit::visit_expr_match(self, expr);
    }

    fn visit_expr_lit(&mut self, expr: &'ast syn::ExprLit) {
        let range = expr.span().byte_range();
        let by = match &expr.lit {
            syn::Lit::Int(lit) => match lit.base10_parse::<u64>() {
                Ok(0) => Some(format!("1{}", lit.suffix())),
                Ok(1) => Some(format!("0{}", lit.suffix())),
                Ok(value) => Some(format!("{}{}", value - 1, lit.suffix())),
                Err(_) => None,
            },
            syn::Lit::Bool(lit) => Some((!lit.value).to_string()),
            _ => None,
        };

        if let Some(by) = by {
            self.add("constant", range.clone(), range, &by);
        }
    }

    fn visit_expr_path(&mut self, expr: &'ast syn::ExprPath) {
        let range = expr.span().byte_range();

        if ERRORS.iter().any(|error| expr.path.is_ident(error)) {
            let by = if expr.path.is_ident("EFAULT") {
                "EINVAL"
            } else {
                "EFAULT"
            };

            self.add("error", range.clone(), range, by);
        }
    }

    fn visit_expr_call(&mut self, expr: &'ast syn::ExprCall) {
        let range = expr.span().byte_range();

        if matches!(&*expr.func, Expr::Path(path) if path.path.is_ident("Some")) {
            self.add("some", range.clone(), range, "None");
        }
        visit::visit_expr_call(self, expr);
    }

    fn visit_expr_method_call(&mut self, expr: &'ast syn::ExprMethodCall) {
        let context = expr.span().byte_range();
        let range = expr.method.span().byte_range();

        if let Some((_, by)) = METHODS.iter().find(|(method, _)| expr.method == method) {
            self.add("method", context, range, by);
        }
        visit::visit_expr_method_call(self, expr);
    }

    fn visit_expr_range(&mut self, expr: &'ast syn::ExprRange) {
        if expr.end.is_some() {
            let (range, by) = match &expr.limits {
                syn::RangeLimits::HalfOpen(dots) => (dots.span().byte_range(), "..="),
                syn::RangeLimits::Closed(dots) => (dots.span().byte_range(), ".."),
            };

            self.add("operator", expr.span().byte_range(), range, by);
        }
        visit::visit_expr_range(self, expr);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        find("dir/a.rs", text)
            .unwrap()
            .iter()
            .map(|change| format!("{}: {}: {}", change.function, change.kind, change.text))
            .collect()
    }

    fn applied(text: &str) -> Vec<String> {
        find("a.rs", text)
            .unwrap()
            .iter()
            .map(|change| change.edit.apply(text))
            .collect()
    }

    #[test]
    fn operators_and_conditions() {
        assert_eq!(
            shown("impl A { fn f(a: u8) -> X { if a < g() { h } else { !i } } }"),
            [
                "A::f: condition: a < g() -> !(a < g())",
                "A::f: operator: a < g() -> a <= g()",
                "A::f: operator: a < g() -> a > g()",
                "A::f: operator: !i -> i",
            ]
        );
        assert_eq!(
            shown("fn f() -> X { if !a { b } }"),
            ["f: operator: !a -> a"]
        );
        assert_eq!(shown("fn f() -> X { if let Ok(a) = b { c } }"), [""; 0]);
        assert_eq!(
            shown("fn f() -> X { if a.is_some() { b } else if c == d { e } }"),
            [
                "f: method: a.is_some() -> a.is_none()",
                "f: operator: c == d -> c != d",
            ]
        );
        assert_eq!(
            shown("fn f() -> X { for i in a..b {} }"),
            ["f: operator: a..b -> a..=b"]
        );
    }

    #[test]
    fn statements_and_barriers() {
        assert_eq!(
            shown(
                "fn f() -> X { a(); let b = c(); let _d = e(); smp_mb(Read); store!(x, y, 1); z }"
            ),
            [
                "f: statement: a(); -> nothing",
                "f: statement: let _d = e(); -> nothing",
                "f: barrier: smp_mb(Read); -> nothing",
                "f: statement: store!(x, y, 1); -> nothing",
                "f: constant: 1 -> 0",
            ]
        );
    }

    #[test]
    fn bodies_by_their_type() {
        assert_eq!(
            applied("fn f() -> Result { g }"),
            ["fn f() -> Result { Ok(()) }"]
        );
        assert_eq!(applied("fn f() { g }"), ["fn f() {  }"]);
        assert_eq!(applied("fn f() { g(); }"), ["fn f() {  }"]);
        assert_eq!(
            applied("fn f() -> Result<bool> { g }"),
            [
                "fn f() -> Result<bool> { Ok(true) }",
                "fn f() -> Result<bool> { Ok(false) }"
            ]
        );
        assert_eq!(shown("fn f() -> &u8 { g }"), [""; 0]);
    }

    #[test]
    fn values_of_other_kinds() {
        assert_eq!(
            shown("fn f() -> X { match a { 0 => Some(b), 1 if c => EIO, _ => d.min(2) } }"),
            [
                "f: arm: 0 => Some(b), -> nothing",
                "f: arm: 1 if c => EIO, -> nothing",
                "f: condition: c -> !(c)",
                "f: some: Some(b) -> None",
                "f: error: EIO -> EFAULT",
                "f: method: d.min(2) -> d.max(2)",
                "f: constant: 2 -> 1",
            ]
        );
    }

    #[test]
    fn what_is_not_compiled_or_only_tests_is_left_alone() {
        for text in [
            "#[cfg(test)] mod tests { fn f() { g(); } }",
            "#[kunit_tests(a)] mod tests { fn f() { g(); } }",
            "#[cfg(not(CONFIG_A))] impl A { fn f() { g(); } }",
            "const _: () = assert!(1 == 1);",
            "macro_rules! m { () => { a() } }",
            "fn f() -> X { if cfg!(a) { b } else { !c } }",
        ] {
            assert_eq!(shown(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn the_same_change_twice_has_two_ids() {
        let changes = find("a.rs", "fn f() -> X { a(); a(); b }").unwrap();

        assert_eq!(changes.len(), 2);
        assert_ne!(changes[0].id(), changes[1].id());
    }
}
