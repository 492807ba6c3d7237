// ServiceNow business rule: sends a request to the cancel function and writes the result into the work notes.
// Needs the REST message "Cancel Microsoft order" with the method "cancel"; README.md beside this file describes it.
(function executeRule(current, previous) {
    var request = {
        customerTenantId: current.getValue('u_customer_tenant'),
        orderId: current.getValue('u_order_id'),
        account: 'default',
        ticketId: current.getValue('number'),
        reason: current.getValue('short_description'),
        dryRun: false
    };
    var choice = current.getValue('u_cancel_order');
    if (choice == 'order_lines') {
        // A text that is not a number is sent unchanged, so that the function refuses it. Number('') would be line 0.
        request.lineItems = String(current.getValue('u_order_lines')).split(',').map(function (line) {
            return { lineItemNumber: /^\s*[0-9]+\s*$/.test(line) ? Number(line) : line };
        });
    } else if (choice != 'whole_order') {
        return;
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
            note = answer.outcome || answer.code + ': ' + answer.detail;
        } catch (notJson) {
            note = 'HTTP ' + response.getStatusCode() + ' ' + answer;
        }
    } catch (noAnswer) {
        note = 'no answer (' + noAnswer + '); send it again, a repeat is safe';
    }
    current.work_notes = 'Microsoft order ' + request.orderId + ': ' + note;
    current.update();
})(current, previous);
