<?php
// The router of the built-in server: false hands a file of this folder out.
switch ($_SERVER['REQUEST_URI']) {
    case '/':
        header('Content-Type: text/plain');
        echo "It serves.\n";
        return true;
    case '/health':
        echo 'ok';
        return true;
    case '/upload':
        header('Content-Type: text/plain');
        echo strlen(file_get_contents('php://input'));
        return true;
    default:
        return false;
}
