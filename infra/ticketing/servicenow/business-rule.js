// ServiceNow business rule: sends a request to the cancel function and writes the result into the work notes.
// Needs the REST message "Cancel Microsoft order" with the method "cancel"; README.md beside this file describes it.
(function executeRule(current, previous) {
    var request = {
        account: 'default',
        ticketId: current.getValue('number'),
        reason: current.getValue('short_description'),
        dryRun: false
    };
    // The customer: by the record's own column, or else by the domain that the record's company has.
    var tenant = current.getValue('u_customer_tenant');
    var domain = tenant || !current.company ? '' : String(current.company.u_microsoft_domain || '');
    if (domain) {
        request.customerDomain = domain;
    } else {
        request.customerTenantId = tenant;
    }
    var choice = current.getValue('u_cancel_order');
    if (choice == 'do_not_renew') {
        request.when = 'term_end'; // the subscription ends with its term; left out, it is cancelled now
    }
    var isSubscription = choice == 'subscription' || choice == 'do_not_renew';
    if (isSubscription) {
        request.subscriptionId = current.getValue('u_subscription_id');
    } else {
        request.orderId = current.getValue('u_order_id');
    }
    if (choice == 'order_lines') {
        // A text that is not a number is sent unchanged, so that the function refuses it. Number('') would be line 0.
        request.lineItems = String(current.getValue('u_order_lines')).split(',').map(function (line) {
            return { lineItemNumber: /^\s*[0-9]+\s*$/.test(line) ? Number(line) : line };
        });
    } else if (choice != 'whole_order' && !isSubscription) {
        return;
    }

    function describe(line) {
        var text = '\n- ' + (line.lineItemNumber === null ? '' : 'line ' + line.lineItemNumber + ', ');
        text += line.friendlyName + ', quantity ' + line.quantity + ': ';
        if (line.cancelled || line.code) {
            return text + (line.cancelled ? 'cancelled' : line.code);
        }
        if (request.when == 'term_end' && (line.endsAtTerm || line.cancellable)) {
            return text + (line.endsAtTerm ? 'ends' : 'can end') + ' with its term on ' + line.termEndsOn;
        }
        if (!line.cancellable) {
            return text + 'not known, or not in the request';
        }
        var until = line.cancellableUntil > new Date().toISOString() ? ' until ' + line.cancellableUntil : '';
        return text + 'can be cancelled' + until + (line.refund ? ', refund: ' + line.refund : '');
    }

    var message = new sn_ws.RESTMessageV2('Cancel Microsoft order', 'cancel');
    message.disableForcedVariableSubstitution(); // otherwise ServiceNow reads ${ in a short description as a variable
    message.setHttpTimeout(30000);
    message.setRequestBody(JSON.stringify(request));
    var note;
    try {
        var response = message.execute();
        var answer = response.getBody();
        try {
            answer = JSON.parse(answer);
            note = answer.message || answer.code + ': ' + answer.detail;
            var order = answer.outcome == 'dry_run' ? answer : answer.order;
            note += order ? order.lineItems.map(describe).join('') : '';
        } catch (notJson) {
            note = 'HTTP ' + response.getStatusCode() + ' ' + answer;
        }
    } catch (noAnswer) {
        note = 'no answer (' + noAnswer + '); send it again, a repeat is safe';
    }
    var target = isSubscription ? 'subscription ' + request.subscriptionId : 'order ' + request.orderId;
    current.work_notes = 'Microsoft ' + target + ': ' + note;
    current.update();
})(current, previous);
