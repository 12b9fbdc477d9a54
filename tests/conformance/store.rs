//! What every store promises (`engine/store/*.rs`), asked of each of them.
//!
//! A behaviour is a function over a [`Scene`](scene::Scene); a store joins by one line at the end
//! of this page. Each pair is a test of its own: `conformance::store::memory::claim::…`.

mod accept;
mod claim;
mod frame;
mod inbox;
mod key;
mod message;
mod planned;
mod recover;
mod room;
mod scene;
mod settle;
mod stream;
mod user;
mod wait;

macro_rules! exercise {
    ($store:ident, $make:path) => {
        mod $store {
            exercise!(@ $make, accept:
                an_event_is_stored_with_its_plan
                a_key_is_accepted_once
                a_key_is_accepted_once_within_a_call
                a_key_belongs_to_its_tenant
                concurrent_callers_of_a_key_make_one_event
                events_without_a_key_are_never_duplicates
                a_repeated_event_brings_nothing_of_its_plan
                a_delivery_is_made_in_the_accepting_write
                a_run_has_one_entry
                contacts_of_one_event_have_runs_of_their_own
                a_version_is_kept_once
                unfinished_runs_are_counted_by_version
            );
            exercise!(@ $make, planned:
                an_event_to_come_waits_for_its_moment
                an_event_is_planned_page_by_page
                a_run_planned_twice_is_left_out_with_all_it_brings
                a_message_planned_twice_is_left_out
                an_old_fence_plans_nothing
                a_run_goes_on_where_it_was_left
                a_run_claimed_by_another_does_not_advance
                claims_of_events_and_runs_are_counted
            );
            exercise!(@ $make, claim:
                the_highest_priority_goes_first_then_the_earliest
                runs_go_by_priority_too
                nothing_is_claimed_before_its_moment
                a_claim_takes_no_more_than_its_limit
                a_claimed_message_is_nobody_elses
                concurrent_claims_never_overlap
                a_claim_brings_the_run_and_the_event
                what_is_given_back_is_due_again_and_not_counted
                the_backlog_counts_what_is_due
            );
            exercise!(@ $make, settle:
                a_departure_counts_the_attempt
                a_departure_needs_the_lease
                a_message_departs_once
                a_settled_message_is_written_with_its_attempt_and_decisions
                a_message_put_off_waits_for_its_moment
                an_old_fence_settles_nothing
                a_message_is_settled_once
                concurrent_settlements_of_a_message_count_once
                a_delivery_gets_its_place_in_the_stream
                a_retried_message_has_left_before
            );
            exercise!(@ $make, recover:
                a_lease_holds_until_its_end
                a_renewed_lease_holds_longer
                everything_ends_all_leases
                what_was_being_sent_is_unknown
                an_unknown_message_may_be_sent_again
                events_and_runs_are_due_again
            );
            exercise!(@ $make, message:
                messages_are_listed_newest_first_in_pages
                messages_are_found_by_their_fields
                a_dead_letter_is_retried_with_a_new_budget
                an_expired_message_may_leave_when_asked
                only_dead_letters_are_retried
                a_waiting_message_is_cancelled
                a_leased_message_is_cancelled_under_its_worker
                what_has_left_is_not_cancelled
            );
            exercise!(@ $make, inbox:
                entries_are_found_by_their_fields
                entries_come_in_the_order_asked
                entries_come_in_pages_with_their_count
                marking_tells_the_stream_once
                marking_all_may_be_narrowed
                marking_many_names_those_of_others
                deleting_many_names_those_of_others
                the_deliveries_of_an_entry_are_those_of_its_run
            );
            exercise!(@ $make, stream:
                concurrent_deliveries_leave_no_gap
                a_replay_is_exactly_what_was_missed
                a_replay_of_too_much_is_gone
                a_replay_from_the_future_is_gone
                a_deleted_entry_leaves_a_gap
                streams_are_apart
            );
            exercise!(@ $make, user:
                a_user_is_created_then_replaced
                people_are_the_known_ones_with_what_they_chose
                a_change_is_seen_at_once
                preferences_may_come_before_the_user
                subscribers_come_in_pages
                an_erased_person_is_gone_and_the_counts_stay
                what_was_to_be_sent_to_an_erased_person_is_not
                erasing_nobody_says_so
            );
            exercise!(@ $make, frame:
                published_frames_are_numbered_without_gaps
                what_is_published_to_a_user_shares_the_stream_of_the_inbox
                old_frames_go_and_the_numbering_stays
                a_publication_is_written_with_its_plan_once
                the_first_result_is_kept
                members_join_and_leave
            );
            exercise!(@ $make, room:
                what_is_said_is_numbered_and_kept
                reading_goes_forward_and_is_a_members
                an_erased_person_is_in_no_room
            );
            exercise!(@ $make, wait:
                an_awaited_event_falls_due
                waits_are_found_by_their_key
                waits_with_a_match_come_in_pages
                a_match_wakes_the_run_and_is_told_it
                what_is_concluded_is_matched_no_more
                a_run_that_goes_on_waits_no_more
                an_erased_person_waits_for_nothing
                a_state_that_holds_already_wakes_at_once
                a_settled_message_wakes_who_waits_for_it
                a_cancelled_message_wakes_who_waits_for_its_end
                reading_wakes_who_waits_for_it
            );
            exercise!(@ $make, key:
                a_key_is_found_by_its_hash
                a_name_is_in_force_once
                a_revoked_key_opens_nothing
            );
        }
    };
    (@ $make:path, $room:ident: $($behaviour:ident)+) => {
        mod $room {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $behaviour() {
                    use crate::conformance::store as suite;
                    suite::$room::$behaviour($make().await).await;
                }
            )+
        }
    };
}

exercise!(memory, suite::scene::memory);
exercise!(sqlite, suite::scene::sqlite);
