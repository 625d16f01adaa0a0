ALTER TABLE projects_versions
    COMMENT COLUMN items 'Items and questions seen so far',
    COMMENT COLUMN annotators 'Annotators seen so far, once for each question',
    COMMENT COLUMN truth_items 'Items and questions whose answer became known, less those where it was withdrawn';
