//! What happens to an engine while something is asked of it. A question ends with its answer, with the machine, when the
//! engine falls silent, or at its deadline; and when it fails, the guest is asked what happened meanwhile.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::{Daemon, HarnessError};
use crate::engine::EngineError;
use crate::vm::instance::units::{self, UnitState};

/// For how long an engine that has much to do may leave `/_ping` unanswered.
const SILENCE: Duration = Duration::from_secs(30);
/// How often it is asked, and how long it has for an answer.
const ASK: Duration = Duration::from_secs(2);
/// How long the guest may take to tell what happened.
const TELL: Duration = Duration::from_secs(20);

impl Daemon {
    /// What `asked` comes to. `action` says what that is, for errors: "load the image".
    pub(super) async fn watched<T>(
        &self,
        action: &str,
        limit: Duration,
        asked: impl Future<Output = Result<T, HarnessError>>,
    ) -> Result<T, HarnessError> {
        let since = match self.vm().uptime().await {
            Ok(since) => since,
            Err(error) => {
                let died = timeout(ASK, self.vm().wait_for_exit()).await;
                return Err(died.unwrap_or(error).into());
            }
        };
        let deadline = || EngineError::Timeout { action: action.to_owned(), limit };
        let failed = tokio::select! {
            biased;
            answer = timeout(limit, asked) => match answer {
                Ok(Err(error)) if error.is_environment() => error,
                Ok(answer) => return answer,
                Err(_) => deadline().into(),
            },
            died = self.vm().wait_for_exit() => return Err(died.into()),
            silent = self.silence() => silent.into(),
        };
        let happened = match timeout(TELL, self.happened(since)).await {
            Ok(Ok(happened)) => happened,
            // A machine's end is noticed a little later than that of what was asked of it.
            unanswered => match (timeout(ASK, self.vm().wait_for_exit()).await, unanswered) {
                (Ok(died), _) => return Err(died.into()),
                (_, Ok(Err(error))) => {
                    vec![format!("the guest does not tell what happened: {error}")]
                }
                _ => vec!["the guest does not tell what happened".to_owned()],
            },
        };
        Err(if happened.is_empty() {
            failed
        } else {
            HarnessError::Meanwhile { failed: failed.into(), happened }
        })
    }

    /// Returns once the engine has not answered for too long.
    async fn silence(&self) -> EngineError {
        let mut silent = Duration::ZERO;
        while silent < SILENCE {
            sleep(ASK).await;
            match timeout(ASK, self.engine().ping()).await {
                Ok(Ok(_)) => silent = Duration::ZERO,
                _ => silent += 2 * ASK,
            }
        }
        EngineError::Unresponsive { silent_for: SILENCE }
    }

    /// What happened to the engine since the guest's clock said `since`.
    async fn happened(&self, since: Duration) -> Result<Vec<String>, HarnessError> {
        let mut agent = self.vm().agent(TELL).await?;
        let mut happened = Vec::new();
        for UnitState { unit, state, result, active_since } in
            units::states(&mut agent, self.vm().family()).await?
        {
            if state != "active" {
                happened.push(format!("{unit} is {state} (its last end: {result})"));
            } else if let Some(after) =
                active_since.checked_sub(since).filter(|after| !after.is_zero())
            {
                happened.push(format!("{unit} was restarted, after {:.1} s", after.as_secs_f64()));
            }
        }
        if units::disk_is_full(&mut agent, self.vm().family()).await? {
            happened.push("the disk that the engine writes to is full".to_owned());
        }
        Ok(happened)
    }
}
