//! What the packs promise: events, the workflows that tell of them, templates, routes, types.

pub struct Told {
    pub event: &'static str,
    pub workflow: &'static str,
    pub category: &'static str,
}

const fn told(event: &'static str, workflow: &'static str, category: &'static str) -> Told {
    Told { event, workflow, category }
}

pub const CARE: [Told; 40] = [
    told("appointment.requested", "appointment-requested", "appointment"),
    told("appointment.booked", "appointment-booked", "appointment"),
    told("appointment.confirmed", "appointment-booked", "appointment"),
    told("appointment.cancelled", "appointment-cancelled", "appointment"),
    told("appointment.declined", "appointment-declined", "appointment"),
    told("appointment.rescheduled", "appointment-rescheduled", "appointment"),
    told("appointment.status_changed", "appointment-status-changed", "appointment"),
    told("reminder.due", "reminder-due", "reminder"),
    told("availability.added", "availability-added", "appointment"),
    told("consultation.requested", "consultation-requested", "medical"),
    told("consultation.accepted", "consultation-accepted", "medical"),
    told("consultation.answered", "consultation-answered", "medical"),
    told("consultation.offer_accepted", "consultation-offer-accepted", "medical"),
    told("treatment.suggested", "treatment-suggested", "medical"),
    told("treatment.accepted", "treatment-accepted", "medical"),
    told("message.sent", "message-sent", "message"),
    told("call.missed", "call-missed", "message"),
    told("file.shared", "file-shared", "message"),
    told("medical_record.created", "medical-record-created", "medical_record"),
    told("medical_record.updated", "medical-record-updated", "medical_record"),
    told("medical_record.shared", "medical-record-shared", "medical_record"),
    told("test_results.available", "test-results-available", "medical_record"),
    told("prescription.created", "prescription-created", "prescription"),
    told("prescription.updated", "prescription-updated", "prescription"),
    told("referral.created", "referral-created", "referral"),
    told("issue.reported", "issue-reported", "issue"),
    told("issue.resolved", "issue-resolved", "issue"),
    told("account.created", "account-created", "system"),
    told("password.changed", "password-changed", "system"),
    told("role.changed", "role-changed", "system"),
    told("profile.updated", "profile-updated", "system"),
    told("maintenance.announced", "maintenance-announced", "system"),
    told("invoice.created", "invoice-created", "billing"),
    told("payment.received", "payment-received", "billing"),
    told("payment.failed", "payment-failed", "billing"),
    told("payment.still_open", "payment-still-open", "billing"),
    told("payment.overdue", "payment-overdue", "billing"),
    told("report.ready", "report-ready", "system"),
    told("anomaly.detected", "anomaly-detected", "system"),
    told("milestone.reached", "milestone-reached", "system"),
];

/// Events that topics are told of, whoever has joined them.
pub const TOPICS: [Told; 5] = [
    told("consultation.requested", "consultation-topics", "medical"),
    told("consultation.accepted", "consultation-topics", "medical"),
    told("consultation.answered", "consultation-topics", "medical"),
    told("treatment.suggested", "consultation-topics", "medical"),
    told("treatment.accepted", "consultation-topics", "medical"),
];

pub const SHOP: [Told; 4] = [
    told("order.placed", "order-placed", "order"),
    told("order.shipped", "order-shipped", "order"),
    told("review.posted", "review-digest", "review"),
    told("price.dropped", "price-alert", "offer"),
];

/// Ships as an example of a workflow that tells nobody.
pub const OFF: [&str; 1] = ["consultation-offer-accepted"];

pub const CARE_TYPES: [&str; 10] = [
    "appointment",
    "message",
    "medical_record",
    "system",
    "billing",
    "reminder",
    "prescription",
    "referral",
    "medical",
    "issue",
];

/// Mails that the clinic's platforms know by these names.
pub const EMAILS: [&str; 7] = [
    "appointment_booked_patient",
    "appointment_confirmed",
    "appointment_cancelled",
    "appointment_modified",
    "appointment_request_practitioner",
    "appointment_reminder",
    "new_availability",
];

/// A path, what it joins, and who may.
pub const ROUTES: [(&str, &str, &str); 8] = [
    (
        "/ws/notifications/patient-doctor-suggest/{user_id}/",
        "patient_doctor_suggest_user_{user_id} doctor_suggest_user_{user_id}",
        "token.sub == user_id",
    ),
    (
        "/ws/notifications/doctor-consultation-request-assigned/{doctor_id}/",
        "consultation_request_assigned_doctor_{doctor_id}",
        "token.sub == doctor_id",
    ),
    (
        "/ws/notifications/doctor-consultation-response-accepted/{user_id}/",
        "doctor_consultation_response_doctor_{user_id}",
        "token.sub == user_id",
    ),
    (
        "/ws/notifications/patient-doctor-response/{user_id}/",
        "patient_consultation_request_hospital_accepted_user_{user_id}",
        "token.sub == user_id",
    ),
    (
        "/ws/notifications/hospital-new-consultation/{org_id}/",
        "new_consultation_medical_org_{org_id}",
        "org_id in token.orgs",
    ),
    (
        "/ws/notifications/hospital-selected-by-doctor/{org_id}/",
        "hospital_selected_by_doctor_{org_id}",
        "org_id in token.orgs",
    ),
    ("/ws/appointments/{room_name}/", "room {room_name}, publish false, history false", "member"),
    ("/ws/chat/{room_name}/", "room {room_name}, publish true, history true", "member"),
];
