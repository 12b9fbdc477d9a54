//! What every store promises (`engine/store/*.rs`), asked of each of them.
//!
//! A behaviour is a function over a [`Scene`](scene::Scene); a store joins by one line at the end
//! of this page. Each pair is a test of its own: `conformance::store::memory::claim::…`.

mod accept;
mod audit;
mod breaker;
mod claim;
mod device;
mod collection;
mod failover;
mod frame;
mod inbox;
mod key;
mod ledger;
mod letter;
mod message;
mod pass;
mod planned;
mod recover;
mod report;
pub mod scene;
mod retention;
mod room;
mod sensitive;
mod settle;
mod stop;
mod stream;
pub mod user;
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
                a_flood_of_one_tenant_does_not_hold_anothers_message
                what_is_critical_goes_first_in_whatever_lane
                a_lane_is_remembered
            );
            exercise!(@ $make, breaker:
                a_breaker_is_open_until_it_is_closed
                a_breaker_opened_again_stays_open_for_longer
                of_many_callers_one_takes_the_probe
            );
            exercise!(@ $make, failover:
                a_departure_to_the_next_provider_journals_the_one_before
                only_the_attempt_that_ended_is_followed_by_another
                a_stop_keeps_it_from_the_next_provider
                a_crash_at_the_next_provider_is_its_unknown
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
                what_is_with_a_provider_is_settled_by_its_attempt
            );
            exercise!(@ $make, ledger:
                a_departure_spends_while_there_is_room
                concurrent_departures_never_pass_the_limit
                a_message_spends_once_and_gives_back_what_it_did_not_use
                a_limit_that_comes_later_counts_what_left_before
                those_put_off_are_counted_in_their_order
                a_change_of_wishes_asks_again
                the_same_departs_once_in_its_window
                what_is_gathered_has_one_leader
                nobody_joins_a_leader_that_is_on_its_way
                a_leader_put_off_again_may_join_another_with_all_it_led
                a_leader_that_is_not_sent_sets_the_others_free
                a_run_remembers_its_topic
            );
            exercise!(@ $make, recover:
                a_lease_holds_until_its_end
                a_renewed_lease_holds_longer
                everything_ends_all_leases
                what_was_being_sent_is_unknown
                an_unknown_message_may_be_sent_again
                events_and_runs_are_due_again
                claims_of_messages_are_counted
                what_loses_its_workers_stays_back
                what_departs_meanwhile_is_not_given_up
            );
            exercise!(@ $make, stop:
                a_claimed_run_that_is_stopped_writes_nothing
                a_leased_message_that_is_stopped_does_not_leave
                what_is_leaving_when_stopped_is_not_tried_again
                what_left_before_it_was_stopped_is_sent
                a_stop_means_its_key_tenant_and_workflow
                recipients_still_to_be_told_are_not
                the_calendar_shows_what_is_planned
            );
            exercise!(@ $make, collection:
                the_first_leads_and_goes_on_for_those_that_follow
                tenants_steps_and_keys_are_apart
                a_run_says_whom_it_waits_with
                a_run_joins_once
                nobody_joins_what_is_closed
                concurrent_joins_make_one_collection
                an_end_that_slides_takes_the_leader_along
                a_full_collection_is_over_at_once
                a_leader_that_is_at_work_hears_of_a_full_collection
                too_few_stay_together_for_the_next_moment
                a_leading_run_goes_on_at_once_and_alone
                a_follower_who_leaves_is_not_counted
                the_oldest_takes_over_from_a_leader_who_leaves
                a_leader_that_fails_at_work_is_followed
                what_everybody_left_is_gone
                a_window_goes_on_without_the_one_that_waited_in_it
                a_run_that_is_left_out_joins_nothing
                too_much_data_is_counted_and_left_out
                an_erased_person_waits_for_nothing
            );
            exercise!(@ $make, pass:
                only_so_many_pass_within_a_window
                a_place_is_taken_once
                places_are_kept_in_the_order_of_asking
                a_place_that_was_kept_is_given_back
                where_none_may_pass_none_does
                concurrent_passes_keep_the_limit
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
            exercise!(@ $make, letter:
                dead_letters_are_those_that_wait_for_a_person
                dead_letters_are_found_by_their_fields
                redriven_letters_fall_due_with_a_new_budget
                a_redriven_letter_keeps_an_end_that_lies_ahead
            );
            exercise!(@ $make, report:
                a_report_finds_its_message
                a_report_moves_a_message_forward_alone
                a_delivery_to_be_reported_is_waited_for
                an_erased_message_is_reported_no_more
            );
            exercise!(@ $make, audit:
                what_was_done_is_read_newest_first
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
            exercise!(@ $make, device:
                a_device_is_registered_then_updated
                a_token_is_of_who_registered_it_last
                devices_are_listed_by_id_of_one_or_of_all
                a_device_is_changed_where_it_is_said
                anothers_device_is_nobodys
                a_user_has_only_so_many_devices
                people_come_with_their_devices
                a_bounce_lasts_until_an_address_changes
                an_erased_user_has_no_devices
            );
            exercise!(@ $make, sensitive:
                a_sensitive_event_and_its_runs_are_read_as_they_were_written
                a_sensitive_event_to_come_keeps_its_data
                a_sensitive_contact_has_one_run
                a_sensitive_entry_is_read_and_told_as_it_was_written
                a_sensitive_entry_may_be_settled
                a_search_finds_a_sensitive_entry_by_its_public_title_alone
            );
            exercise!(@ $make, frame:
                published_frames_are_numbered_without_gaps
                heads_are_told_of_many_streams_at_once
                what_is_published_to_a_user_shares_the_stream_of_the_inbox
                old_frames_go_and_the_numbering_stays
                a_publication_is_written_with_its_plan_once
                the_first_result_is_kept
                members_join_and_leave
            );
            exercise!(@ $make, retention:
                what_has_ended_goes_from_the_leaves_to_the_event
                what_is_unfinished_stays_with_all_it_hangs_on
                dead_letters_have_a_time_of_their_own
                a_key_guards_as_long_as_its_event_is_kept
                a_stream_goes_on_counting_when_its_entries_are_gone
                what_others_wait_to_be_told_of_stays
                what_was_said_and_shown_goes_by_its_age
                slices_are_bounded_and_lose_nothing
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
exercise!(postgres, suite::scene::postgres);
