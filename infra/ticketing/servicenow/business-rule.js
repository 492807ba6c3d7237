// ServiceNow business rule: asks the function to cancel the order named in the record, and notes the answer.
// Needs the REST message "Cancel Microsoft order" with a method "cancel" (page ServiceNow).
(function executeRule(current, previous) {
    var request = {
        customerTenantId: current.getValue('u_customer_tenant'),
        orderId: current.getValue('u_order_id'),
        account: 'default',
        ticketId: current.getValue('number'),
        reason: current.getValue('short_description'),
        dryRun: false
    };
    var what = current.getValue('u_cancel_order');
    if (what == 'order_lines') {
        // Whatever is no number goes as it stands and is refused; Number('') would be line 0.
        request.lineItems = String(current.getValue('u_order_lines')).split(',').map(function (line) {
            return { lineItemNumber: /^\s*[0-9]+\s*$/.test(line) ? Number(line) : line };
        });
    } else if (what != 'whole_order') {
        return;
    }

    var message = new sn_ws.RESTMessageV2('Cancel Microsoft order', 'cancel');
    message.disableForcedVariableSubstitution(); // else ${ in a short description would be taken for a variable
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
