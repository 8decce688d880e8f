"""One way in each: adapters that receive, verify and answer in their channel's own words."""
