//! The hands take a recorded intent, not a permit, an intent or a bare action.
use wbd_actions::Hands;
use wbd_engine::guard::Permit;
use wbd_model::action::Action;
use wbd_model::entry::Intent;
use wbd_model::time::Now;

async fn permitted(hands: &Hands, permit: Permit, now: &Now) {
    let _ = hands.act(permit, now, None).await;
}

async fn intended(hands: &Hands, intent: Intent, now: &Now) {
    let _ = hands.act(intent, now, None).await;
}

async fn wanted(hands: &Hands, action: Action, now: &Now) {
    let _ = hands.act(action, now, None).await;
}

fn main() {}
